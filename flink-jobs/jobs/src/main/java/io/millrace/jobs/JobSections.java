package io.millrace.jobs;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.ConfigSections;
import io.millrace.jobs.evaluation.EvaluationSection;
import java.util.Map;

/** The section of the job evaluation. */
public final class JobSections implements ConfigSections {

  @Override
  public Map<String, Class<? extends ConfigSection>> sections() {
    return Map.of("evaluation", EvaluationSection.class);
  }

  @Override
  public int order() {
    return 4;
  }
}

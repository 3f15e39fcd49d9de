package io.millrace.jobs.training;

import static java.util.Map.entry;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.ConfigSections;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.rejection.RejectionSamplingSection;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.supervised.SupervisedSection;
import java.util.Map;

/** The sections of the jobs that train models and sample from them. */
public final class TrainingSections implements ConfigSections {

  @Override
  public Map<String, Class<? extends ConfigSection>> sections() {
    return ConfigSections.inOrder(
        entry("supervised", SupervisedSection.class),
        entry("rollout", RolloutSection.class),
        entry("ppo", PpoSection.class),
        entry("rejection-sampling", RejectionSamplingSection.class));
  }

  @Override
  public int order() {
    return 1;
  }
}

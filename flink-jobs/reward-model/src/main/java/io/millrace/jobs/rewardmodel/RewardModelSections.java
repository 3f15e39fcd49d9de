package io.millrace.jobs.rewardmodel;

import static java.util.Map.entry;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.ConfigSections;
import java.util.Map;

/** The sections of the job {@code reward-model}. */
public final class RewardModelSections implements ConfigSections {

  @Override
  public Map<String, Class<? extends ConfigSection>> sections() {
    return ConfigSections.inOrder(
        entry("reward-model", RewardModelSection.class),
        entry("annotators", AnnotatorSection.class));
  }

  @Override
  public int order() {
    return 2;
  }
}

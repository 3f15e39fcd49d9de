package io.millrace.campaign;

import static java.util.Map.entry;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.ConfigSections;
import java.util.Map;

/** Registers the section {@code campaign}. */
public final class CampaignSections implements ConfigSections {

  @Override
  public Map<String, Class<? extends ConfigSection>> sections() {
    return ConfigSections.inOrder(entry("campaign", CampaignSection.class));
  }

  @Override
  public int order() {
    return 5;
  }
}

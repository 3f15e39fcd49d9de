package io.millrace.jobs.preference;

import static java.util.Map.entry;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.ConfigSections;
import java.util.Map;

/** The section of the job preference. */
public final class PreferenceSections implements ConfigSections {

  @Override
  public Map<String, Class<? extends ConfigSection>> sections() {
    return ConfigSections.inOrder(entry("preference", PreferenceSection.class));
  }

  @Override
  public int order() {
    return 3;
  }
}

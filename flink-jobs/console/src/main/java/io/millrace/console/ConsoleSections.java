package io.millrace.console;

import static java.util.Map.entry;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.ConfigSections;
import java.util.Map;

/** Registers the section {@code console}. */
public final class ConsoleSections implements ConfigSections {

  @Override
  public Map<String, Class<? extends ConfigSection>> sections() {
    return ConfigSections.inOrder(entry("console", ConsoleSection.class));
  }

  @Override
  public int order() {
    return 7;
  }
}

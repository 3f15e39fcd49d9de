package io.millrace.cli.serve;

import static java.util.Map.entry;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.ConfigSections;
import java.util.Map;

/** Registers the sections {@code serve} and {@code notify}. */
public final class ServeSections implements ConfigSections {

  @Override
  public Map<String, Class<? extends ConfigSection>> sections() {
    return ConfigSections.inOrder(
        entry("serve", ServeSection.class), entry("notify", NotifySection.class));
  }

  @Override
  public int order() {
    return 6;
  }
}

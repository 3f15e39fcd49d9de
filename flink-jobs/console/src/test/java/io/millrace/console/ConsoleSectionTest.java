package io.millrace.console;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigException;
import io.millrace.jobs.config.ConfigLoader;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class ConsoleSectionTest {

  private static ConsoleSection load(String... settings) {
    return ConfigLoader.load(
            Optional.empty(),
            List.of(settings),
            Optional.empty(),
            List.of(ConsoleSection.class),
            _ -> {})
        .section(ConsoleSection.class);
  }

  @Test
  void everyDefaultIsTheDocumentedOne() {
    assertEquals(
        new ConsoleSection(
            "127.0.0.1",
            8010,
            "",
            Duration.ofHours(12),
            "",
            "",
            600,
            Duration.ofMinutes(10),
            1,
            Duration.ofDays(7),
            20_000,
            "",
            "",
            "",
            0.1,
            "console"),
        load());
  }

  @Test
  void wrongValuesAreNamed() {
    for (String setting :
        new String[] {
          "console.overlap=0",
          "console.gold-share=1.5",
          "console.lease=1s",
          "console.session=40d",
          "console.serve-url=file:/x",
          "console.tls-key=key.pem"
        }) {
      ConfigException e = assertThrows(ConfigException.class, () -> load(setting), setting);
      String option = setting.substring("console.".length(), setting.indexOf('='));
      assertTrue(e.getMessage().contains(option), e.getMessage());
    }
  }
}

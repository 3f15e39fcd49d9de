package io.millrace.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.jobs.config.ConfigReference;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class ConfigReferenceTest {

  private static final Path PAGE = Path.of("../../docs/configuration.md");

  /** CONTRIBUTING.md, "An option", has the command that writes the page. */
  @Test
  void thePageIsWhatTheRecordsSay() throws Exception {
    if (Boolean.getBoolean("millrace.write-docs")) {
      Files.writeString(PAGE, ConfigReference.markdown());
    }
    assertEquals(ConfigReference.markdown(), Files.readString(PAGE));
  }
}

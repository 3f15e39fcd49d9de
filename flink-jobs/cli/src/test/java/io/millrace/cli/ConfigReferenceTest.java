package io.millrace.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import io.millrace.jobs.config.ConfigReference;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** The page {@code docs/configuration.md} is what the configuration records say. */
class ConfigReferenceTest {

  private static final String PAGE = "docs/configuration.md";

  /** The page of the repository, from the directory of any module. */
  private static Path page() {
    Path directory = Path.of("").toAbsolutePath();
    while (!Files.exists(directory.resolve(PAGE))) {
      directory = directory.getParent();
    }
    return directory.resolve(PAGE);
  }

  /** The page itself says how to write it again with the property {@code millrace.write-docs}. */
  @Test
  void thePageIsWhatTheRecordsSay() throws Exception {
    if (Boolean.getBoolean("millrace.write-docs")) {
      Files.writeString(page(), ConfigReference.markdown());
    }
    assertEquals(ConfigReference.markdown(), Files.readString(page()));
  }

  @Test
  void everyRowHasFourCells() {
    for (String line : ConfigReference.markdown().lines().toList()) {
      if (line.startsWith("| `")) {
        String[] cells = line.split("\\|", -1);
        assertEquals(6, cells.length, line);
        assertFalse(cells[3].isBlank(), line);
        assertFalse(cells[4].isBlank(), line);
      }
    }
  }
}

package io.millrace.demo.quickstart;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.millrace.world.Difficulty;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class QuickstartSettingsTest {

  private static final Path DIRECTORY = Path.of("data");

  @Test
  void everySetterSetsItsOwnField() {
    assertEquals(
        new QuickstartSettings(
            1, DIRECTORY, 2, 3, 4, 5, 6, 7, Difficulty.hard(0.2), List.of("a=b")),
        QuickstartSettings.builder(1, DIRECTORY)
            .world(Difficulty.hard(0.2))
            .versionsBehind(7)
            .options(List.of("a=b"))
            .failAtRollout(6)
            .heldOut(5)
            .iterations(4)
            .archive(3)
            .demonstrations(2)
            .build());
  }

  @Test
  void withoutSettersItIsTheCommandsRun() {
    assertEquals(
        new QuickstartSettings(
            1, DIRECTORY, 3200, 16_384, 60, 200, 0, 1, Difficulty.PLAIN, List.of()),
        QuickstartSettings.builder(1, DIRECTORY).build());
  }

  @Test
  void aSettingThatIsTooSmallIsNamed() {
    assertRefused("archive is 1 but must be at least 2", builder().archive(1));
    assertRefused("demonstrations is 0 but must be at least 1", builder().demonstrations(0));
    assertRefused("iterations is 0 but must be at least 1", builder().iterations(0));
    assertRefused("heldOut is 0 but must be at least 1", builder().heldOut(0));
    assertRefused("failAtRollout is -1 but must be at least 0", builder().failAtRollout(-1));
    assertRefused("versionsBehind is -1 but must be at least 0", builder().versionsBehind(-1));
  }

  private static QuickstartSettings.Builder builder() {
    return QuickstartSettings.builder(1, DIRECTORY);
  }

  private static void assertRefused(String message, QuickstartSettings.Builder builder) {
    assertEquals(
        message, assertThrows(IllegalArgumentException.class, builder::build).getMessage());
  }
}

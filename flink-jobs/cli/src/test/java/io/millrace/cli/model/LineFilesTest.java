package io.millrace.cli.model;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.model.chat.Message;
import io.millrace.world.GhostWorld;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LineFilesTest {

  private static final long SEED = 5;

  @Test
  void instructionsAndDialoguesComeBackFromTheirFiles(@TempDir Path directory) throws Exception {
    Path instructions = directory.resolve("instructions.jsonl");
    LineFiles.writeInstructions(instructions, GhostWorld.instructions());
    assertEquals(GhostWorld.instructions(), LineFiles.instructions(instructions));
    Path dialogues = directory.resolve("dialogues.jsonl");
    List<List<Message>> written = new GhostWorld(SEED).demonstrations(5);
    LineFiles.writeDialogues(dialogues, written);
    assertEquals(written, LineFiles.dialogues(dialogues));
  }
}

package io.millrace.cli.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.chat.Message;
import io.millrace.world.GhostWorld;
import java.io.IOException;
import java.nio.file.Files;
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

  @Test
  void instructionsAreFourTexts(@TempDir Path directory) throws Exception {
    Path file = directory.resolve("bad.jsonl");
    for (String line :
        List.of(
            "[]",
            "\"x\"",
            "{\"group\":1,\"text\":\"x\",\"shortened\":\"y\",\"expected\":\"z\"}",
            "{\"group\":\"a\",\"text\":\"x\",\"shortened\":\"y\"}",
            "{\"group\":\"a\",\"text\":\"x\",\"shortened\":\"y\",\"expected\":\"z\","
                + "\"more\":\"w\"}")) {
      Files.writeString(file, line);
      IOException e = assertThrows(IOException.class, () -> LineFiles.instructions(file), line);
      assertTrue(e.getMessage().startsWith(file + ":1: an instruction must have"), e.getMessage());
    }
  }
}

package io.millrace.cli.model;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.importer.DemonstrationLine;
import io.millrace.jobs.models.Dialogues;
import io.millrace.model.chat.Message;
import io.millrace.model.supervised.GhostAttention.Instruction;
import io.millrace.schemas.UnusableRecordException;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Dialogues and instructions as JSON Lines. */
public final class LineFiles {

  private static final ObjectMapper JSON =
      new ObjectMapper().enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES);

  private LineFiles() {}

  private interface Line<T> {
    T read(String line, String origin) throws IOException;
  }

  /** Dialogues in any form of {@link DemonstrationLine}. */
  public static List<List<Message>> dialogues(Path file) throws IOException {
    return read(
        file,
        (line, origin) -> Dialogues.messages(DemonstrationLine.read(line, origin).getDialogue()));
  }

  /** Instructions, each with group, text, shortened and expected. */
  public static List<Instruction> instructions(Path file) throws IOException {
    return read(
        file,
        (line, origin) -> {
          try {
            return JSON.readValue(line, Instruction.class);
          } catch (JsonProcessingException e) {
            throw new IOException(
                origin
                    + ": not an instruction; it needs group, text, shortened and expected, each a"
                    + " text",
                e);
          }
        });
  }

  private static <T> List<T> read(Path file, Line<T> format) throws IOException {
    List<T> records = new ArrayList<>();
    List<String> lines = Files.readAllLines(file);
    for (int i = 0; i < lines.size(); i++) {
      if (!lines.get(i).isBlank()) {
        try {
          records.add(format.read(lines.get(i), file + ":" + (i + 1)));
        } catch (UnusableRecordException e) {
          throw new IOException(e.getMessage(), e);
        }
      }
    }
    if (records.isEmpty()) {
      throw new IOException(file + " has no line that is not empty");
    }
    return records;
  }

  /** Writes dialogues in the form of chat messages. */
  public static void writeDialogues(Path file, List<List<Message>> dialogues) throws IOException {
    try (Writer writer = Files.newBufferedWriter(file)) {
      for (List<Message> dialogue : dialogues) {
        ObjectNode line = JSON.createObjectNode();
        ArrayNode messages = line.putArray("messages");
        for (Message message : dialogue) {
          messages
              .addObject()
              .put("role", message.role().name().toLowerCase(Locale.ROOT))
              .put("content", message.content());
        }
        writer.write(line + "\n");
      }
    }
  }

  /** Writes what is said in dialogues as plain texts, one a turn. */
  public static void writeTexts(Path file, List<List<Message>> dialogues) throws IOException {
    try (Writer writer = Files.newBufferedWriter(file)) {
      for (List<Message> dialogue : dialogues) {
        for (Message message : dialogue) {
          writer.write(JSON.createObjectNode().put("text", message.content()) + "\n");
        }
      }
    }
  }

  public static void writeInstructions(Path file, List<Instruction> instructions)
      throws IOException {
    try (Writer writer = Files.newBufferedWriter(file)) {
      for (Instruction instruction : instructions) {
        writer.write(JSON.writeValueAsString(instruction) + "\n");
      }
    }
  }
}

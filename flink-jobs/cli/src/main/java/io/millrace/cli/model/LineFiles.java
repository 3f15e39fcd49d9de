package io.millrace.cli.model;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.importer.DemonstrationLine;
import io.millrace.jobs.models.Dialogues;
import io.millrace.model.chat.Message;
import io.millrace.model.supervised.GhostAttention.Instruction;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.wire.StrictJson;
import io.millrace.schemas.wire.TextLines;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** Dialogues and instructions as JSON Lines. */
final class LineFiles {

  private static final ObjectMapper JSON =
      new ObjectMapper().enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES);

  private static final String INSTRUCTION =
      ": an instruction must have the texts group, text, shortened and expected, and nothing else";

  private LineFiles() {}

  private interface Line<T> {
    T read(String line, String origin) throws IOException;
  }

  /** Reads dialogues in any format of {@link DemonstrationLine}. */
  static List<List<Message>> dialogues(Path file) throws IOException {
    return read(
        file,
        (line, origin) -> Dialogues.messages(DemonstrationLine.read(line, origin).getDialogue()));
  }

  /** Reads instructions, each with group, text, shortened and expected. */
  static List<Instruction> instructions(Path file) throws IOException {
    return read(
        file,
        (line, origin) -> {
          try {
            JsonNode instruction = StrictJson.read(line);
            // Numbers would become texts.
            if (instruction.valueStream().allMatch(JsonNode::isTextual)) {
              return JSON.treeToValue(instruction, Instruction.class);
            }
            throw new IOException(origin + INSTRUCTION);
          } catch (JsonProcessingException e) {
            throw new IOException(origin + INSTRUCTION, e);
          }
        });
  }

  private static <T> List<T> read(Path file, Line<T> format) throws IOException {
    List<T> records = new ArrayList<>();
    try (TextLines lines = TextLines.of(file)) {
      for (Optional<TextLines.Line> line = lines.next(); line.isPresent(); line = lines.next()) {
        if (line.get().isBlank()) {
          continue;
        }
        String origin = file + ":" + line.get().number();
        try {
          records.add(format.read(line.get().text(), origin));
        } catch (UnusableRecordException e) {
          String message = e.getMessage();
          throw new IOException(message.startsWith(origin) ? message : origin + ": " + message, e);
        }
      }
    }
    if (records.isEmpty()) {
      throw new IOException(file + " must have at least one line that is not empty");
    }
    return records;
  }

  /** Writes dialogues as chat messages. */
  static void writeDialogues(Path file, List<List<Message>> dialogues) throws IOException {
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

  /** Writes each turn of the dialogues as a plain text. */
  static void writeTexts(Path file, List<List<Message>> dialogues) throws IOException {
    try (Writer writer = Files.newBufferedWriter(file)) {
      for (List<Message> dialogue : dialogues) {
        for (Message message : dialogue) {
          writer.write(JSON.createObjectNode().put("text", message.content()) + "\n");
        }
      }
    }
  }

  static void writeInstructions(Path file, List<Instruction> instructions) throws IOException {
    try (Writer writer = Files.newBufferedWriter(file)) {
      for (Instruction instruction : instructions) {
        writer.write(JSON.writeValueAsString(instruction) + "\n");
      }
    }
  }
}

package io.millrace.model.chat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.model.tokenizer.Json;
import io.millrace.model.tokenizer.TurnMarks;
import io.millrace.model.tokenizer.training.ByteLevelBpeTrainer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** A small trained tokenizer that has the marks of all chat forms as special tokens. */
final class MarkedTokenizer {

  private MarkedTokenizer() {}

  /** Writes the tokenizer; the ids of the marks begin at {@code firstId}. */
  static void save(Path directory, List<String> corpus, int vocabulary, int firstId)
      throws IOException {
    ByteLevelBpeTrainer.train(corpus, vocabulary).save(directory);
    Path file = directory.resolve("tokenizer.json");
    ObjectNode root = (ObjectNode) Json.MAPPER.readTree(file.toFile());
    int id = firstId;
    for (TurnMarks marks : TurnMarks.values()) {
      for (String token : List.of(marks.open, marks.endOfRole, marks.end)) {
        if (!token.isEmpty()) {
          root.withArray("added_tokens")
              .addObject()
              .put("id", id++)
              .put("content", token)
              .put("single_word", false)
              .put("lstrip", false)
              .put("rstrip", false)
              .put("normalized", false)
              .put("special", true);
        }
      }
    }
    Files.writeString(file, root.toString());
  }
}

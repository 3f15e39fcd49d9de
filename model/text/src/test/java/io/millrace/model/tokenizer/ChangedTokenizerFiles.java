package io.millrace.model.tokenizer;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.model.tokenizer.training.ByteLevelBpeTrainer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/**
 * A directory with the files of a sound tokenizer, which a test changes before it loads them. Each
 * test has its own directory.
 */
abstract class ChangedTokenizerFiles {
  @TempDir Path directory;

  @BeforeEach
  void save() {
    ByteLevelBpeTrainer.train(Corpus.sentences(50, 1), 270).save(directory);
  }

  static ObjectNode model(ObjectNode root) {
    return root.withObject("/model");
  }

  static ObjectNode vocab(ObjectNode root) {
    return root.withObject("/model/vocab");
  }

  static void added(ObjectNode root, String content, int id, boolean special) {
    root.withArray("added_tokens")
        .addObject()
        .put("id", id)
        .put("content", content)
        .put("single_word", false)
        .put("lstrip", false)
        .put("rstrip", false)
        .put("normalized", false)
        .put("special", special);
  }

  void edit(String file, Consumer<ObjectNode> change) throws Exception {
    ObjectNode root = (ObjectNode) Json.MAPPER.readTree(directory.resolve(file).toFile());
    change.accept(root);
    write(file, root.toString());
  }

  void write(String file, String text) throws Exception {
    Files.write(directory.resolve(file), text.getBytes(StandardCharsets.UTF_8));
  }
}

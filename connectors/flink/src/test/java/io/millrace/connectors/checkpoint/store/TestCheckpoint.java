package io.millrace.connectors.checkpoint.store;

import io.millrace.schemas.Sha256;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Small checkpoint directories with a manifest that lists their files. */
public final class TestCheckpoint {
  private TestCheckpoint() {}

  /** The files of a checkpoint whose content contains a word. One file is empty. */
  public static Map<String, String> files(String word) {
    Map<String, String> files = new TreeMap<>();
    files.put("config.json", "{}");
    files.put("empty.txt", "");
    files.put("model.safetensors", "weights of " + word);
    files.put("millrace.json", manifest(word, files));
    return files;
  }

  private static String manifest(String word, Map<String, String> files) {
    return files.entrySet().stream()
        .map(
            file ->
                "\"%s\": {\"sha256\": \"%s\", \"size\": %d}"
                    .formatted(file.getKey(), sha256(file.getValue()), file.getValue().length()))
        .collect(Collectors.joining(", ", "{\"name\": \"%s\", \"files\": {".formatted(word), "}}"));
  }

  public static String sha256(String text) {
    return Sha256.of(text);
  }

  public static void write(Path directory, String word) throws IOException {
    for (Map.Entry<String, String> file : files(word).entrySet()) {
      Files.writeString(directory.resolve(file.getKey()), file.getValue());
    }
  }
}

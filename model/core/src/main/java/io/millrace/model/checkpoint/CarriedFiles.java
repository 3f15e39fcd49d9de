package io.millrace.model.checkpoint;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * What a checkpoint takes over from the one that training started from, beside the model and the
 * tokenizer: licence and readme, the settings of {@code generation_config.json}, and the padding
 * token.
 */
public final class CarriedFiles {
  private static final Pattern TEXT =
      Pattern.compile(
          "(?i)(licen[cs]e|copying|notice|readme|use_policy|acceptable_use)[a-z0-9._-]*");

  private static final int MOST_TEXTS = 16;
  private static final int MOST_BYTES = 1 << 20;
  private static final String PAD = "pad_token_id";

  private final Map<String, byte[]> texts;
  private final Optional<ObjectNode> generation;
  private final OptionalInt padToken;

  private CarriedFiles(
      Map<String, byte[]> texts, Optional<ObjectNode> generation, OptionalInt padToken) {
    this.texts = texts;
    this.generation = generation;
    this.padToken = padToken;
  }

  /** Nothing to take over. */
  public static CarriedFiles none() {
    return new CarriedFiles(Map.of(), Optional.empty(), OptionalInt.empty());
  }

  /**
   * What the checkpoint of a directory has to take over.
   *
   * @throws CheckpointException if a file is malformed, or is larger than a text can be
   */
  public static CarriedFiles read(Path dir) {
    try {
      FileTools.requireNoLinksOut(dir, name -> TEXT.matcher(name).matches());
    } catch (IOException e) {
      throw CheckpointException.of(dir, "cannot be read: " + PlainFiles.reason(e), e);
    }
    Map<String, byte[]> texts = new TreeMap<>();
    for (String name : CheckpointVerifier.fileNames(dir)) {
      Path file = dir.resolve(name);
      if (TEXT.matcher(name).matches() && Files.isRegularFile(file)) {
        if (texts.size() == MOST_TEXTS) {
          throw CheckpointException.of(
              dir, "has more than " + MOST_TEXTS + " licences and readmes; remove some");
        }
        texts.put(name, bytes(file));
      }
    }
    Path generation = dir.resolve(CheckpointDirectory.GENERATION_CONFIG);
    int pad = Json.read(dir.resolve(CheckpointDirectory.CONFIG)).path(PAD).asInt(-1);
    return new CarriedFiles(
        texts,
        Files.exists(generation) ? Optional.of(Json.read(generation)) : Optional.empty(),
        pad < 0 ? OptionalInt.empty() : OptionalInt.of(pad));
  }

  private static byte[] bytes(Path file) {
    try {
      return PlainFiles.read(file, MOST_BYTES);
    } catch (IOException e) {
      throw CheckpointException.of(file, "cannot be read: " + PlainFiles.reason(e), e);
    }
  }

  /** The text of {@code config.json} with the padding token. */
  String config(String json) {
    if (padToken.isEmpty()) {
      return json;
    }
    ObjectNode root = Json.parse(Path.of(CheckpointDirectory.CONFIG), json);
    return Json.text(root.put(PAD, padToken.getAsInt()));
  }

  /**
   * The text of {@code generation_config.json}.
   *
   * @param json the text without anything taken over, whose tokens are the model's
   */
  String generation(String json) {
    if (generation.isEmpty()) {
      return json;
    }
    ObjectNode root = generation.get().deepCopy();
    ObjectNode own = Json.parse(Path.of(CheckpointDirectory.GENERATION_CONFIG), json);
    for (String token : new String[] {"bos_token_id", "eos_token_id"}) {
      root.set(token, own.get(token));
    }
    return Json.text(root);
  }

  /** Writes licence and readme. */
  void writeTexts(Path dir) throws IOException {
    for (Map.Entry<String, byte[]> text : texts.entrySet()) {
      Files.write(dir.resolve(text.getKey()), text.getValue());
    }
  }
}

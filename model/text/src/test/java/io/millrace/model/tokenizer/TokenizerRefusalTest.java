package io.millrace.model.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** Malformed and hostile tokenizer files are refused, in one line that names the file. */
class TokenizerRefusalTest extends ChangedTokenizerFiles {
  @Test
  void refusesMissingAndGarbledFiles() throws Exception {
    byte[] sound = Files.readAllBytes(directory.resolve("tokenizer.json"));
    write("tokenizer.json", "");
    refuses("tokenizer.json");
    write("tokenizer.json", "null");
    refuses("not a JSON object");
    write("tokenizer.json", "[".repeat(100_000));
    refuses("is not JSON");
    write("tokenizer.json", "{\"a\":1,\"a\":2}");
    refuses("is not JSON");
    write("tokenizer.json", "\u0000\u0001\u0002");
    refuses("is not JSON");
    for (int length = 1; length < sound.length - 2; length += 997) {
      Files.write(directory.resolve("tokenizer.json"), Arrays.copyOf(sound, length));
      refuses("is not JSON");
    }
    Files.delete(directory.resolve("tokenizer.json"));
    refuses("has no tokenizer.json");
    Files.write(directory.resolve("tokenizer.json"), sound);
    Files.delete(directory.resolve("tokenizer_config.json"));
    refuses("has no tokenizer_config.json");
    Files.createDirectory(directory.resolve("tokenizer_config.json"));
    refuses("cannot be read");
  }

  @Test
  void survivesAnyChangedByte() throws Exception {
    byte[] sound = Files.readAllBytes(directory.resolve("tokenizer.json"));
    Random random = new Random(17);
    int refused = 0;
    for (int i = 0; i < 300; i++) {
      byte[] flipped = sound.clone();
      flipped[random.nextInt(flipped.length)] = (byte) random.nextInt(256);
      Files.write(directory.resolve("tokenizer.json"), flipped);
      try (Tokenizer tokenizer = Tokenizer.load(directory)) {
        assertEquals("a </s>", tokenizer.decode(tokenizer.encode("a </s>")));
      } catch (TokenizerException e) {
        refused++;
        assertTrue(e.getMessage().startsWith(directory.toString()), e.getMessage());
      }
    }
    assertTrue(refused > 30, refused + " of 300 refused");
  }

  @Test
  void refusesUnsoundVocabularies() throws Exception {
    refusesTokenizer("outside 0 to", root -> vocab(root).put("a", -1));
    refusesTokenizer("outside 0 to", root -> vocab(root).put("a", 2_000_000_000));
    refusesTokenizer("has id 1.5", root -> vocab(root).put("a", 1.5));
    refusesTokenizer("has id 99999999999", root -> vocab(root).put("a", 99_999_999_999L));
    refusesTokenizer("has id \"7\"", root -> vocab(root).put("a", "7"));
    refusesTokenizer("stands for two tokens", root -> vocab(root).put("zz", 200));
    refusesTokenizer("empty or not Unicode text", root -> vocab(root).put("", 270));
    refusesTokenizer("has no token \"~\"", root -> vocab(root).remove("~"));
    refusesTokenizer("is missing or not an object", root -> model(root).put("vocab", 3));
    refusesTokenizer("is missing or not an array", root -> model(root).putNull("merges"));
    refusesTokenizer("needs token \"qx\"", root -> merges(root).add("q x"));
    refusesTokenizer("not a pair", root -> merges(root).add("q"));
    refusesTokenizer("not a pair", root -> merges(root).add(7));
    refusesTokenizer("not a pair", root -> merges(root).addArray().add("a").add("b").add("c"));
    refusesTokenizer("has two ids", root -> added(root, "a", 300, false));
    refusesTokenizer("stands for two tokens", root -> added(root, "new", 10, false));
    refusesTokenizer("empty or not Unicode text", root -> added(root, "", 300, false));
    refusesTokenizer("would not restore text", root -> added(root, "Zürich", 300, false));
    refusesTokenizer(
        "would not restore text",
        root -> {
          added(root, "<x>", 300, false);
          ((ObjectNode) root.path("added_tokens").path(4)).put("lstrip", true);
        });
    refusesTokenizer("has id none", root -> root.withArray("added_tokens").addObject());
  }

  @Test
  void refusesOtherKindsOfModels() throws Exception {
    refusesTokenizer("type \"WordPiece\"", root -> model(root).put("type", "WordPiece"));
    refusesTokenizer("has dropout", root -> model(root).put("dropout", 0.1));
    refusesTokenizer(
        "continuing_subword_prefix", root -> model(root).put("continuing_subword_prefix", "##"));
    refusesTokenizer(
        "normalizer of type \"Precompiled\"",
        root -> root.putObject("normalizer").put("type", "Precompiled"));
    refusesTokenizer(
        "decoder of type \"WordPiece\"",
        root ->
            root.putObject("decoder")
                .put("type", "Sequence")
                .putArray("decoders")
                .addObject()
                .put("type", "WordPiece"));
    refusesTokenizer("some texts have no tokens", root -> root.putNull("pre_tokenizer"));
    refusesTokenizer(
        "does not restore an encoded text",
        root -> ((ObjectNode) root.path("pre_tokenizer")).put("add_prefix_space", true));
    refusesTokenizer("does not restore an encoded text", root -> root.putNull("decoder"));
    refusesTokenizer(
        "a class has no end",
        root ->
            root.putObject("pre_tokenizer")
                .put("type", "Sequence")
                .putArray("pretokenizers")
                .add(split("(["))
                .addObject()
                .put("type", "ByteLevel"));
    refusesTokenizer("the tokenizers library refuses it", root -> root.put("version", "9"));
  }

  @Test
  void refusesConfigsWithoutTheTokensItNeeds() throws Exception {
    refusesConfig("expected a token", config -> config.put("eos_token", 3));
    refusesConfig("which tokenizer.json does not have", config -> config.put("sep_token", "<x>"));
    for (String taken : List.of("<s>", "</s>", "<pad>")) {
      refusesConfig("choose another token", config -> config.put("sep_token", taken));
    }
    refusesConfig("neither a template nor", config -> config.put("chat_template", 3));
    write("tokenizer_config.json", "{");
    refuses("is not JSON");
  }

  private static ObjectNode split(String regex) {
    ObjectNode split = Json.MAPPER.createObjectNode().put("type", "Split");
    split.put("behavior", "Isolated").put("invert", false);
    split.putObject("pattern").put("Regex", regex);
    return split;
  }

  private static ArrayNode merges(ObjectNode root) {
    return model(root).withArray("merges");
  }

  private void refusesTokenizer(String problem, Consumer<ObjectNode> change) throws Exception {
    byte[] sound = Files.readAllBytes(directory.resolve("tokenizer.json"));
    edit("tokenizer.json", change);
    refuses(problem);
    Files.write(directory.resolve("tokenizer.json"), sound);
  }

  private void refusesConfig(String problem, Consumer<ObjectNode> change) throws Exception {
    byte[] sound = Files.readAllBytes(directory.resolve("tokenizer_config.json"));
    edit("tokenizer_config.json", change);
    refuses(problem);
    Files.write(directory.resolve("tokenizer_config.json"), sound);
  }

  private void refuses(String problem) {
    var e = assertThrows(TokenizerException.class, () -> Tokenizer.load(directory), problem);
    assertTrue(e.getMessage().startsWith(directory.toString()), e.getMessage());
    assertTrue(e.getMessage().contains(problem), e.getMessage());
    assertEquals(1, e.getMessage().lines().count(), e.getMessage());
  }
}

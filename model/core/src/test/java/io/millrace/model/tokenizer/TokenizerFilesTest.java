package io.millrace.model.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.tokenizer.training.ByteLevelBpeTrainer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tokenizers that others wrote: sound ones of other kinds, and garbled or hostile ones. */
class TokenizerFilesTest {
  @TempDir Path directory;

  @BeforeEach
  void save() {
    ByteLevelBpeTrainer.train(Corpus.sentences(50, 1), 270).save(directory);
  }

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
    refuses("no tokenizer.json there");
    Files.write(directory.resolve("tokenizer.json"), sound);
    Files.delete(directory.resolve("tokenizer_config.json"));
    refuses("no tokenizer_config.json there");
    Files.createDirectory(directory.resolve("tokenizer_config.json"));
    refuses("cannot be read");
  }

  @Test
  void survivesAnyByteFlipped() throws Exception {
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
    refusesTokenizer("not a Unicode text", root -> vocab(root).put("", 270));
    refusesTokenizer("has no token \"~\"", root -> vocab(root).remove("~"));
    refusesTokenizer("is missing or no object", root -> model(root).put("vocab", 3));
    refusesTokenizer("is missing or no array", root -> model(root).putNull("merges"));
    refusesTokenizer("needs token \"qx\"", root -> merges(root).add("q x"));
    refusesTokenizer("not a pair", root -> merges(root).add("q"));
    refusesTokenizer("not a pair", root -> merges(root).add(7));
    refusesTokenizer("not a pair", root -> merges(root).addArray().add("a").add("b").add("c"));
    refusesTokenizer("has two ids", root -> added(root, "a", 300, false));
    refusesTokenizer("stands for two tokens", root -> added(root, "new", 10, false));
    refusesTokenizer("not a Unicode text", root -> added(root, "", 300, false));
    refusesTokenizer("would not be given back", root -> added(root, "Zürich", 300, false));
    refusesTokenizer(
        "would not be given back",
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
        "does not give back the text",
        root -> ((ObjectNode) root.path("pre_tokenizer")).put("add_prefix_space", true));
    refusesTokenizer("does not give back the text", root -> root.putNull("decoder"));
    refusesTokenizer(
        "the tokenizers library refuses it",
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
      refusesConfig("must be another token", config -> config.put("sep_token", taken));
    }
    refusesConfig("neither a template nor", config -> config.put("chat_template", 3));
    write("tokenizer_config.json", "{");
    refuses("is not JSON");
  }

  @Test
  void aTokenizerWithoutSeparatorSaysSoWhenAsked() throws Exception {
    edit("tokenizer_config.json", config -> config.putNull("sep_token").remove("pad_token"));
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      assertTrue(tokenizer.padding().isEmpty());
      var e = assertThrows(IllegalStateException.class, tokenizer::separator);
      assertTrue(e.getMessage().contains("has no \"sep_token\""), e.getMessage());
    }
  }

  @Test
  void rolesThatMayBeSharedOrMissing() throws Exception {
    edit(
        "tokenizer_config.json",
        config -> config.put("pad_token", "</s>").put("bos_token", "</s>"));
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      assertEquals(2, tokenizer.padding().orElseThrow());
      assertEquals(tokenizer.eos(), tokenizer.bos());
      var e = assertThrows(TokenizerException.class, () -> ChatTemplate.of(tokenizer));
      assertTrue(e.getMessage().contains("are the same"), e.getMessage());
    }
    edit("tokenizer_config.json", config -> config.putNull("bos_token").remove("eos_token"));
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      var e = assertThrows(TokenizerException.class, tokenizer::bos);
      assertTrue(e.getMessage().contains("has no \"bos_token\""), e.getMessage());
      assertThrows(TokenizerException.class, tokenizer::eos);
    }
    write(
        "special_tokens_map.json",
        "{\"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"</s>\"}}");
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      assertThrows(TokenizerException.class, tokenizer::bos, "null in the config says none");
      assertEquals(2, tokenizer.eos());
    }
  }

  @Test
  void plainTextBeginsAsThePostProcessorSays() throws Exception {
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      assertArrayEquals(Tokens.of(tokenizer.bos()), tokenizer.textStart());
    }
    edit(
        "tokenizer.json",
        root -> {
          var template = root.path("post_processor").deepCopy();
          var processors =
              root.putObject("post_processor").put("type", "Sequence").putArray("processors");
          processors.addObject().put("type", "ByteLevel").put("trim_offsets", true);
          processors.add(template);
        });
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      assertArrayEquals(Tokens.of(tokenizer.bos()), tokenizer.textStart());
    }
    edit("tokenizer.json", root -> root.putNull("post_processor"));
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      assertArrayEquals(new int[0], tokenizer.textStart());
    }
  }

  /** RFC 3629: these bytes occur in no text, and vocabularies learned from texts lack them. */
  @Test
  void bytesThatNoTextHasNeedNoToken() throws Exception {
    edit(
        "tokenizer.json",
        root -> {
          for (int b : new int[] {0xC0, 0xC1, 0xF5, 0xFF}) {
            vocab(root).remove(String.valueOf(ByteAlphabet.character(b)));
          }
        });
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      assertEquals("\udbff\udfff", tokenizer.decode(tokenizer.encode("\udbff\udfff")));
    }
  }

  @Test
  void tokensThatSetTurnsApartAreSpecialWhateverTheFileSays() throws Exception {
    edit(
        "tokenizer.json",
        root -> {
          added(root, "<|im_start|>", 500, false);
          added(root, "<|im_end|>", 501, false);
        });
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      for (int token : tokenizer.encode("a<|im_end|>\n<|im_start|>system")) {
        assertTrue(token < 500, "token " + token);
      }
      assertTrue(tokenizer.isSpecial(501));
    }
  }

  /** The newer spelling of SentencePiece's space: before the first piece of a sequence alone. */
  @Test
  void aSpaceBeforeTheFirstPieceAlone() throws Exception {
    ObjectNode root = sentencePieceForm();
    root.putNull("normalizer");
    ObjectNode metaspace = root.putObject("pre_tokenizer").put("type", "Metaspace");
    metaspace.put("replacement", "▁").put("prepend_scheme", "first").put("split", false);
    write("tokenizer.json", root.toString());
    edit("tokenizer_config.json", config -> config.putNull("sep_token").putNull("pad_token"));
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      assertArrayEquals(ids(tokenizer, "▁", "h", "i"), tokenizer.encode("hi"));
      assertArrayEquals(ids(tokenizer, "h", "i"), tokenizer.encodeAfterSpecial("hi"));
      ChatTemplate template = ChatTemplate.of(tokenizer);
      assertArrayEquals(
          ids(
              tokenizer, "<s>", "[", "I", "N", "S", "T", "]", "▁", "h", "i", "▁", "[", "/", "I",
              "N", "S", "T", "]"),
          template.promptTokens(List.of(Message.user("hi"))));
      assertArrayEquals(ids(tokenizer, "▁", "h", "i", "▁", "</s>"), template.responseTokens("hi"));
      assertEquals("hi", template.responseText(template.responseTokens("hi")));
    }
  }

  @Test
  void addedTokensKeepTheirIds() throws Exception {
    edit(
        "tokenizer.json",
        root -> {
          added(root, "<|tool|>", 500, true);
          added(root, "New York", 501, false);
          added(root, "<|config|>", 502, false);
        });
    edit(
        "tokenizer_config.json",
        config -> config.putArray("additional_special_tokens").add("<|config|>"));
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      assertEquals(503, tokenizer.vocabSize());
      assertArrayEquals(Tokens.of(501), tokenizer.encode("New York"));
      assertEquals("New York", tokenizer.decode(Tokens.of(501)));
      for (String special : List.of("<|tool|>", "<|config|>")) {
        for (int token : tokenizer.encode(special)) {
          assertFalse(tokenizer.isSpecial(token), special);
        }
        assertEquals(special, tokenizer.decode(tokenizer.encode(special)));
        assertTrue(tokenizer.isSpecial(tokenizer.idOf(special).orElseThrow()));
      }
      assertEquals("\ufffd", tokenizer.decode(Tokens.of(400)));
    }
  }

  /** A padding token added after training needs no row, whatever can enter a sequence does. */
  @Test
  void saysWhichTokenAModelHasNoRowFor() throws Exception {
    edit("tokenizer.json", root -> added(root, "[PAD]", 500, true));
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      tokenizer.requireFits(501);
      tokenizer.requireFits(500);
    }
    edit("tokenizer.json", root -> added(root, "New York", 501, false));
    assertNoRow(501, "token \"New York\" has id 501, but the model's vocab_size is 501");
    edit("tokenizer.json", root -> added(root, "<|im_end|>", 502, true));
    assertNoRow(502, "token \"<|im_end|>\" has id 502");
    edit("tokenizer.json", root -> added(root, "<end>", 503, true));
    edit("tokenizer_config.json", config -> config.put("eos_token", "<end>"));
    assertNoRow(503, "token \"<end>\" has id 503");
  }

  private void assertNoRow(int rows, String problem) {
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      tokenizer.requireFits(rows + 1);
      var e = assertThrows(TokenizerException.class, () -> tokenizer.requireFits(rows));
      assertTrue(e.getMessage().contains(problem), e.getMessage());
      assertTrue(e.getMessage().contains("tokenizer.json"), e.getMessage());
    }
  }

  @Test
  void mergesThatSpellASpecialTokenDoNotFormIt() throws Exception {
    edit(
        "tokenizer.json",
        root -> {
          vocab(root).put("</", 600).put("s>", 601);
          root.withObject("/model").put("ignore_merges", true);
          model(root).putArray("merges").add("< /").add("s >").add("</ s>");
        });
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      for (String text : List.of("</s>", "a </s>", "</s></s>")) {
        for (int token : tokenizer.encode(text)) {
          assertFalse(tokenizer.isSpecial(token), text);
        }
        assertEquals(text, tokenizer.decode(tokenizer.encode(text)));
      }
    }
  }

  @Test
  void readsTokenizersInLlama2sForm() throws Exception {
    write("tokenizer.json", sentencePieceForm().toString());
    edit("tokenizer_config.json", config -> config.putNull("sep_token").putNull("pad_token"));
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      assertEquals(1, tokenizer.bos());
      assertEquals(2, tokenizer.eos());
      assertArrayEquals(ids(tokenizer, "▁", "h", "i"), tokenizer.encode("hi"));
      assertArrayEquals(ids(tokenizer, "▁", "h", "<0xC3>", "<0xBC>"), tokenizer.encode("hü"));
      Random random = new Random(4);
      for (int i = 0; i < 500; i++) {
        // "▁" itself is how such a vocabulary writes a space.
        String text = Corpus.anyText(random).replace('▁', '_');
        assertEquals(text, tokenizer.decode(tokenizer.encode(text)));
      }
      for (int token : tokenizer.encode("<unk><s></s>")) {
        assertFalse(tokenizer.isSpecial(token));
      }
      ChatTemplate template = ChatTemplate.of(tokenizer);
      assertArrayEquals(
          ids(
              tokenizer, "<s>", "▁", "[", "I", "N", "S", "T", "]", "▁", "h", "▁", "[", "/", "I",
              "N", "S", "T", "]"),
          template.promptTokens(List.of(Message.user("h"))));
      int[] response = template.responseTokens("hi");
      assertArrayEquals(ids(tokenizer, "▁", "h", "i", "▁", "</s>"), response);
      assertEquals("hi", template.responseText(response));
      assertEquals(" hi ", template.responseText(template.responseTokens(" hi ")));
    }
  }

  private static ObjectNode sentencePieceForm() {
    ObjectNode root = Json.MAPPER.createObjectNode().put("version", "1.0");
    added(root, "<unk>", 0, true);
    added(root, "<s>", 1, true);
    added(root, "</s>", 2, true);
    var normalizers = root.putObject("normalizer").put("type", "Sequence").putArray("normalizers");
    normalizers.addObject().put("type", "Prepend").put("prepend", "▁");
    replace(normalizers.addObject(), " ", "▁");
    var decoders = root.putObject("decoder").put("type", "Sequence").putArray("decoders");
    replace(decoders.addObject(), "▁", " ");
    decoders.addObject().put("type", "ByteFallback");
    decoders.addObject().put("type", "Fuse");
    decoders.addObject().put("type", "Strip").put("content", " ").put("start", 1).put("stop", 0);
    ObjectNode model = root.putObject("model").put("type", "BPE").put("unk_token", "<unk>");
    model.put("fuse_unk", true).put("byte_fallback", true).putArray("merges");
    ObjectNode vocab = model.putObject("vocab").put("<unk>", 0).put("<s>", 1).put("</s>", 2);
    for (int b = 0; b < 256; b++) {
      vocab.put("<0x%02X>".formatted(b), 3 + b);
    }
    for (String piece : "▁ h i [ ] / I N S T <".split(" ", -1)) {
      vocab.put(piece, vocab.size());
    }
    return root;
  }

  private static void replace(ObjectNode component, String pattern, String content) {
    component.put("type", "Replace").put("content", content);
    component.putObject("pattern").put("String", pattern);
  }

  private static ObjectNode split(String regex) {
    ObjectNode split = Json.MAPPER.createObjectNode().put("type", "Split");
    split.put("behavior", "Isolated").put("invert", false);
    split.putObject("pattern").put("Regex", regex);
    return split;
  }

  private static int[] ids(Tokenizer tokenizer, String... tokens) {
    return List.of(tokens).stream().mapToInt(t -> tokenizer.idOf(t).orElseThrow()).toArray();
  }

  private static ObjectNode model(ObjectNode root) {
    return root.withObject("/model");
  }

  private static ObjectNode vocab(ObjectNode root) {
    return root.withObject("/model/vocab");
  }

  private static ArrayNode merges(ObjectNode root) {
    return model(root).withArray("merges");
  }

  private static void added(ObjectNode root, String content, int id, boolean special) {
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

  private void edit(String file, Consumer<ObjectNode> change) throws Exception {
    ObjectNode root = (ObjectNode) Json.MAPPER.readTree(directory.resolve(file).toFile());
    change.accept(root);
    write(file, root.toString());
  }

  private void write(String file, String text) throws Exception {
    Files.write(directory.resolve(file), text.getBytes(StandardCharsets.UTF_8));
  }
}

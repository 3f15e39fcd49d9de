package io.millrace.model.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Sound tokenizer files of other origin: other kinds of tokenizers, and other tokens. */
class TokenizerFilesTest extends ChangedTokenizerFiles {
  @Test
  void aMissingSeparatorIsAnErrorOnlyWhenUsed() throws Exception {
    edit("tokenizer_config.json", config -> config.putNull("sep_token").remove("pad_token"));
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      assertTrue(tokenizer.padding().isEmpty());
      var e = assertThrows(IllegalStateException.class, tokenizer::separator);
      assertTrue(e.getMessage().contains("has no \"sep_token\""), e.getMessage());
    }
  }

  @Test
  void aTokenMayHaveTwoRolesAndARoleMayBeMissing() throws Exception {
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
      assertThrows(TokenizerException.class, tokenizer::bos, "null in the config takes precedence");
      assertEquals(2, tokenizer.eos());
    }
  }

  @Test
  void thePostProcessorDecidesHowPlainTextBegins() throws Exception {
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

  /** These bytes never occur in UTF-8 (RFC 3629), so vocabularies learned from texts lack them. */
  @Test
  void bytesThatNeverOccurNeedNoToken() throws Exception {
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
  void turnTokensAreAlwaysSpecial() throws Exception {
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

  /**
   * The newer form of SentencePiece files, which adds a space before the first piece of a sequence
   * only.
   */
  @Test
  void addsASpaceBeforeTheFirstPieceOnly() throws Exception {
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

  /**
   * A padding token that was added after training needs no row; any token that a sequence can
   * contain does.
   */
  @Test
  void namesTheTokenThatAModelHasNoRowFor() throws Exception {
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
  void readsTokenizersInTheFormOfLlama2() throws Exception {
    write("tokenizer.json", sentencePieceForm().toString());
    edit("tokenizer_config.json", config -> config.putNull("sep_token").putNull("pad_token"));
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      assertEquals(1, tokenizer.bos());
      assertEquals(2, tokenizer.eos());
      assertArrayEquals(ids(tokenizer, "▁", "h", "i"), tokenizer.encode("hi"));
      assertArrayEquals(ids(tokenizer, "▁", "h", "<0xC3>", "<0xBC>"), tokenizer.encode("hü"));
      Random random = new Random(4);
      for (int i = 0; i < 500; i++) {
        // Such a vocabulary writes a space as "▁", so this character itself does not survive.
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

  private static int[] ids(Tokenizer tokenizer, String... tokens) {
    return List.of(tokens).stream().mapToInt(t -> tokenizer.idOf(t).orElseThrow()).toArray();
  }
}

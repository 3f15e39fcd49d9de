package io.millrace.model.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * No text and no tokenizer file reaches the native library that could make it end the process. Each
 * of the texts and files here did so, or took minutes.
 */
class TokenizerLimitTest extends ChangedTokenizerFiles {
  private static final String LLAMA3 =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
          + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

  @Test
  void refusesTextsThatWouldEndTheProcess() throws Exception {
    edit("tokenizer.json", root -> split(root, LLAMA3));
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      for (String text :
          List.of(
              " ".repeat(11_000_000), "a".repeat(16_000_000), "\ud83d\ude00".repeat(3_000_000))) {
        var e = assertThrows(TextTooLongException.class, () -> tokenizer.encode(text));
        assertTrue(e.getMessage().contains(text.length() + " characters"), e.getMessage());
        assertThrows(TextTooLongException.class, () -> tokenizer.encodeAfterSpecial(text));
        assertThrows(TextTooLongException.class, () -> tokenizer.encodeContinuation(text));
      }
      assertEquals(100_000, tokenizer.encode(" ".repeat(100_000)).length);
    }
  }

  @Test
  void aModelTakesEveryTextThatHasNoMoreTokensThanItAllows() throws Exception {
    int longest;
    String token;
    try (Tokenizer tokenizer = Tokenizer.load(directory)) {
      token =
          tokenizer.vocabulary().ids().keySet().stream()
              .filter(t -> t.chars().allMatch(c -> c >= 'a' && c <= 'z'))
              .max((a, b) -> a.length() - b.length())
              .orElseThrow();
      longest =
          tokenizer.vocabulary().ids().keySet().stream()
              .filter(t -> !t.startsWith("<"))
              .mapToInt(String::length)
              .max()
              .orElseThrow();
    }
    int most = 5000;
    try (Tokenizer tokenizer = Tokenizer.load(directory, most)) {
      assertTrue(tokenizer.encode(token.repeat(most)).length >= most);
      tokenizer.requireEncodable("x".repeat(most * longest));
      var e =
          assertThrows(
              TextTooLongException.class,
              () -> tokenizer.requireEncodable("x".repeat(most * longest + 1)));
      assertTrue(e.getMessage().contains("5000 tokens"), e.getMessage());
    }
  }

  @Test
  void countsBytesAndNotCharacters() {
    TextLimit limit = TextLimit.of(1).withTokens(1024, 4, 1);
    limit.require("\ud83d\ude00".repeat(1024));
    limit.require("é".repeat(2048));
    assertThrows(
        TextTooLongException.class, () -> limit.require("\ud83d\ude00".repeat(1024) + "x"));
    assertThrows(TextTooLongException.class, () -> limit.require("é".repeat(2048) + "x"));
    assertThrows(TextTooLongException.class, () -> limit.require("\ud83d".repeat(1366)));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "(a+)+$",
        "(a|a)*b",
        "(a|ab)*c",
        "(?:\\s*x?)*y",
        "(\\w+\\s?)+!",
        "(a*){20}b",
        "(a{0,900}){900}",
        "\\s*\\s*x",
        "\\p{L}*[a-z]+\\d",
        "\\s+(?=\\s*x)y",
        "(?:a*a*b)?c",
        "a{1000}{1000}",
        "a{5000}",
        "(a)\\1+",
        "(?<n>a)\\k<n>",
        "\\g<0>",
        "(?<x>a\\g<x>?)",
        "((((((((((((((((((((((a))))))))))))))))))))))",
        "(a",
        "[a",
        "a)"
      })
  void refusesRegularExpressionsThatCanTakeTooLong(String regex) throws Exception {
    edit("tokenizer.json", root -> split(root, regex));
    refused("pre_tokenizer has the regular expression");
    edit("tokenizer.json", root -> root.putNull("normalizer"));
    edit(
        "tokenizer.json",
        root -> {
          root.putObject("pre_tokenizer").put("type", "ByteLevel").put("add_prefix_space", false);
          ObjectNode replace = root.putObject("normalizer").put("type", "Replace");
          replace.put("content", "x").putObject("pattern").put("Regex", regex);
        });
    refused("normalizer has the regular expression");
  }

  /** The expressions of published tokenizers, in the order Llama 3, GPT-2, GPT-4o, DeepSeek. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        LLAMA3,
        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
        "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*"
            + "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            + "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+"
            + "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            + "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
        "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
            + "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*"
            + "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
        "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
        "(?=(\\d{3})+(?!\\d))"
      })
  void acceptsRegularExpressionsOfPublishedTokenizers(String regex) {
    assertFalse(RegexCheck.require(regex).isEmpty());
  }

  @Test
  void refusesWhatTheLibraryFailsWithInAnotherProcess() throws Exception {
    String json = nativeJson("(a+)+$");
    var e =
        assertThrows(
            TokenizerException.class, () -> TokenizerProbe.require("here", json, Set.of("a")));
    assertTrue(
        e.getMessage().startsWith("here: the tokenizers library fails with it"), e::toString);
    assertTrue(e.getMessage().contains("ended the process that tried it"), e::toString);
    // Time that grows with the square of the text: each space begins four searches.
    edit("tokenizer.json", root -> split(root, "\\s+\\d|\\s+!|\\s+[xyz]|\\s+\\p{Lu}"));
    refused("16384 characters takes");
  }

  @Test
  void refusesComponentsThatMakeTextsMuchLonger() throws Exception {
    for (String content : List.of("x".repeat(17), "x".repeat(1 << 20))) {
      replace("a", content);
      refused("expected a text of at most 16 characters");
    }
    edit(
        "tokenizer.json",
        root -> {
          ArrayNode parts =
              root.putObject("normalizer").put("type", "Sequence").putArray("normalizers");
          for (int i = 0; i < 8; i++) {
            ObjectNode part = parts.addObject().put("type", "Replace").put("content", "aaaaaaaa");
            part.putObject("pattern").put("String", "a");
          }
        });
    refused("times as long");
    edit(
        "tokenizer.json",
        root -> {
          ArrayNode parts =
              root.putObject("normalizer").put("type", "Sequence").putArray("normalizers");
          for (int i = 0; i < 100; i++) {
            parts.addObject().put("type", "NFC");
          }
        });
    refused("as long");
    replace("", "x");
    refused("expected a text or a regular expression");
    edit(
        "tokenizer.json",
        root -> {
          root.putNull("normalizer");
          ObjectNode strip = root.putObject("decoder").put("type", "Strip").put("content", " ");
          strip.put("start", 0).put("stop", 4);
        });
    refused("decoder Strip has start 0 and stop 4");
  }

  private void replace(String pattern, String content) throws Exception {
    edit(
        "tokenizer.json",
        root -> {
          ObjectNode replace = root.putObject("normalizer").put("type", "Replace");
          replace.put("content", content).putObject("pattern").put("String", pattern);
        });
  }

  private String nativeJson(String regex) throws Exception {
    ObjectNode root =
        (ObjectNode) Json.MAPPER.readTree(Files.readAllBytes(directory.resolve("tokenizer.json")));
    split(root, regex);
    root.putNull("post_processor");
    return root.toString();
  }

  private static void split(ObjectNode root, String regex) {
    ArrayNode parts =
        root.putObject("pre_tokenizer").put("type", "Sequence").putArray("pretokenizers");
    ObjectNode split = parts.addObject().put("type", "Split").put("behavior", "Isolated");
    split.put("invert", false).putObject("pattern").put("Regex", regex);
    parts
        .addObject()
        .put("type", "ByteLevel")
        .put("add_prefix_space", false)
        .put("trim_offsets", true)
        .put("use_regex", false);
  }

  private void refused(String problem) {
    var e = assertThrows(TokenizerException.class, () -> Tokenizer.load(directory).close());
    assertTrue(e.getMessage().contains(problem), e.getMessage());
  }
}

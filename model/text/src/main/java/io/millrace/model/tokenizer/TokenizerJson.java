package io.millrace.model.tokenizer;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The checked content of {@code tokenizer.json}, and the JSON for the native library.
 *
 * <p>The file is checked before the library sees any of it, because a fault in native code can end
 * the process. Only the components of Llama tokenizers are accepted: a byte-pair encoding that
 * covers every byte, so that no text is unknown.
 *
 * <p>The library gets the file <b>without its special tokens</b>. It cannot match tokens that it
 * does not know, whatever a text contains. A text is therefore encoded as a whole, not in pieces
 * around special tokens. Ids stay those of the file.
 *
 * @param vocabulary all tokens, special ones included
 * @param special ids of the special tokens
 * @param startToken special token that the post-processor puts before a text
 * @param prefix where the tokenizer adds a space before a text
 * @param nativeJson for the native library
 * @param continuationJson {@code nativeJson} without the added space; the same if there is none
 * @param components what its components can do to a text
 * @param longestToken bytes of the longest token that is not special
 */
record TokenizerJson(
    Vocabulary vocabulary,
    Set<Integer> special,
    Optional<String> startToken,
    Prefix prefix,
    String nativeJson,
    String continuationJson,
    TokenizerComponents components,
    int longestToken) {

  /** Where a SentencePiece tokenizer adds a space before a text. */
  enum Prefix {
    NONE,
    /** At the beginning of a sequence only. */
    FIRST,
    /** At the beginning of a sequence and after every special token. */
    SECTIONS
  }

  /**
   * The tokens that begin and end the turns of dialogues. They count as special even if a file does
   * not mark them, because user text could contain them otherwise.
   */
  static final Set<String> CONTROLS =
      Arrays.stream(TurnMarks.values())
          .flatMap(marks -> Stream.of(marks.open, marks.endOfRole, marks.end))
          .filter(token -> !token.isEmpty())
          .collect(Collectors.toUnmodifiableSet());

  static TokenizerJson parse(TokenizerFiles files, Set<String> specialByConfig) {
    String where = files.where(TokenizerFiles.TOKENIZER);
    ObjectNode root = Json.object(where, files.contents().get(TokenizerFiles.TOKENIZER));
    return new Parser(where, root, specialByConfig).parse();
  }

  private record Parser(String where, ObjectNode root, Set<String> specialByConfig) {
    TokenizerJson parse() {
      TokenizerComponents components = TokenizerComponents.require(where, root);
      ObjectNode model = requireModel();
      Vocabulary vocabulary = new Vocabulary(where);
      ObjectNode pieces = object(model, "vocab");
      for (Map.Entry<String, JsonNode> piece : pieces.properties()) {
        vocabulary.add(piece.getKey(), id("token \"" + piece.getKey() + "\"", piece.getValue()));
      }
      requireMerges(array(model, "merges"), vocabulary);

      Set<String> special = removeSpecials(pieces, vocabulary);
      removeMergesOf(special, array(model, "merges"));
      requireCoverage(model, pieces);
      Optional<String> start = startToken(root.path("post_processor")).filter(special::contains);
      root.putNull("truncation").putNull("padding").putNull("post_processor");
      model.putNull("unk_token");

      Set<Integer> ids = new HashSet<>();
      special.forEach(token -> ids.add(vocabulary.id(token).orElseThrow()));
      String nativeJson = write();
      Prefix prefix = removePrefix();
      return new TokenizerJson(
          vocabulary,
          Set.copyOf(ids),
          start,
          prefix,
          nativeJson,
          prefix == Prefix.NONE ? nativeJson : write(),
          components,
          longest(vocabulary, special));
    }

    private String write() {
      try {
        return Json.MAPPER.writeValueAsString(root);
      } catch (JsonProcessingException e) {
        throw new TokenizerException(where, "cannot be written as JSON again", e);
      }
    }

    private static Optional<String> startToken(JsonNode processor) {
      for (JsonNode part : processor.path("processors")) {
        Optional<String> token = startToken(part);
        if (token.isPresent()) {
          return token;
        }
      }
      JsonNode first = processor.path("single").path(0).path("SpecialToken").path("id");
      return first.isTextual() ? Optional.of(first.textValue()) : Optional.empty();
    }

    /** Removes the components that add a space before a text; returns where they add it. */
    private Prefix removePrefix() {
      Prefix prefix = Prefix.NONE;
      ObjectNode sequence = Json.MAPPER.createObjectNode().put("type", "Sequence");
      ArrayNode kept = sequence.putArray("normalizers");
      for (JsonNode part : parts(root.path("normalizer"), "normalizers")) {
        if (part.path("type").asText().equals("Prepend")) {
          prefix = Prefix.SECTIONS;
        } else {
          kept.add(part);
        }
      }
      if (prefix != Prefix.NONE) {
        root.set("normalizer", sequence);
      }
      for (JsonNode part : parts(root.path("pre_tokenizer"), "pretokenizers")) {
        if (part instanceof ObjectNode object && part.path("type").asText().equals("Metaspace")) {
          boolean adds = part.path("add_prefix_space").asBoolean(true);
          String scheme = part.path("prepend_scheme").asText(adds ? "always" : "never");
          if (scheme.equals("always")) {
            prefix = Prefix.SECTIONS;
          } else if (scheme.equals("first") && prefix == Prefix.NONE) {
            prefix = Prefix.FIRST;
          }
          object.put("prepend_scheme", "never").remove("add_prefix_space");
        }
      }
      return prefix;
    }

    /**
     * The parts of a component if it is a sequence, else the component itself. Sequences are not
     * nested.
     */
    private static List<JsonNode> parts(JsonNode component, String name) {
      List<JsonNode> parts = new ArrayList<>();
      if (component.path("type").asText().equals("Sequence")) {
        component.path(name).forEach(parts::add);
      } else if (component.isObject()) {
        parts.add(component);
      }
      return parts;
    }

    private ObjectNode requireModel() {
      ObjectNode model = object(root, "model");
      String type = model.path("type").asText("BPE");
      if (!type.equals("BPE")) {
        throw problem(
            "model of type \"" + type + "\" is not supported; Llama tokenizers are of type BPE");
      }
      if (model.path("dropout").asDouble(0) != 0) {
        throw problem(
            "the model has dropout, which makes tokens random; set model.dropout to null");
      }
      for (String affix : new String[] {"continuing_subword_prefix", "end_of_word_suffix"}) {
        if (!model.path(affix).asText("").isEmpty() && !model.path(affix).isNull()) {
          throw problem("model." + affix + " is not supported; Llama tokenizers have none");
        }
      }
      return model;
    }

    private void requireMerges(ArrayNode merges, Vocabulary vocabulary) {
      for (JsonNode merge : merges) {
        String[] pair = pair(merge);
        for (String token : new String[] {pair[0], pair[1], pair[0] + pair[1]}) {
          if (!vocabulary.contains(token)) {
            throw problem(
                "merge "
                    + merge
                    + " needs token \""
                    + token
                    + "\", which the vocabulary does not have");
          }
        }
      }
    }

    /** A merge is a string {@code "a b"} or, in newer files, a list {@code ["a", "b"]}. */
    private String[] pair(JsonNode merge) {
      String[] pair = new String[0];
      if (merge.isTextual()) {
        pair = merge.textValue().split(" ", -1);
      } else if (merge.path(0).isTextual() && merge.path(1).isTextual() && merge.size() == 2) {
        pair = new String[] {merge.path(0).textValue(), merge.path(1).textValue()};
      }
      if (pair.length != 2) {
        throw problem("merge " + merge + " is not a pair of tokens");
      }
      return pair;
    }

    /**
     * Removes the special tokens; returns them. The other added tokens become part of the library's
     * model. Otherwise the library would give them ids of its own.
     */
    private Set<String> removeSpecials(ObjectNode pieces, Vocabulary vocabulary) {
      Set<String> special = new HashSet<>();
      for (Iterator<JsonNode> i = root.withArray("added_tokens").iterator(); i.hasNext(); ) {
        JsonNode token = i.next();
        String content = token.path("content").asText();
        int id = id("added token \"" + content + "\"", token.path("id"));
        vocabulary.add(content, id);
        if (token.path("special").asBoolean()
            || specialByConfig.contains(content)
            || CONTROLS.contains(content)) {
          special.add(content);
          i.remove();
        } else {
          requireRestorable(content, token);
          pieces.put(content, id);
        }
      }
      specialByConfig.stream().filter(vocabulary::contains).forEach(special::add);
      pieces.remove(special);
      return special;
    }

    /**
     * Checks that decoding restores an added token. Stripping loses spaces, and a ByteLevel decoder
     * takes some characters for bytes.
     */
    private void requireRestorable(String content, JsonNode token) {
      boolean bytes =
          byteLevel()
              && content.chars().allMatch(ByteAlphabet::contains)
              && content.chars().anyMatch(c -> c > '~');
      if (bytes || token.path("lstrip").asBoolean() || token.path("rstrip").asBoolean()) {
        throw problem(
            "decoding would not restore text with the added token \"" + content + "\"; remove it");
      }
    }

    /** A token of a byte-level vocabulary has a character for each byte. */
    private int longest(Vocabulary vocabulary, Set<String> special) {
      boolean byteLevel = byteLevel();
      return vocabulary.ids().keySet().stream()
          .filter(token -> !special.contains(token))
          .mapToInt(
              token ->
                  byteLevel && token.chars().allMatch(ByteAlphabet::contains)
                      ? token.length()
                      : token.getBytes(StandardCharsets.UTF_8).length)
          .max()
          .orElse(1);
    }

    private boolean byteLevel() {
      return root.path("pre_tokenizer").findValuesAsText("type").contains("ByteLevel");
    }

    private void removeMergesOf(Set<String> special, ArrayNode merges) {
      for (Iterator<JsonNode> i = merges.iterator(); i.hasNext(); ) {
        String[] pair = pair(i.next());
        if (special.contains(pair[0])
            || special.contains(pair[1])
            || special.contains(pair[0] + pair[1])) {
          i.remove();
        }
      }
    }

    private void requireCoverage(ObjectNode model, ObjectNode pieces) {
      boolean byteLevel = byteLevel();
      if (!byteLevel && !model.path("byte_fallback").asBoolean()) {
        throw problem(
            "there is neither a ByteLevel pre-tokenizer nor model.byte_fallback:"
                + " some texts have no tokens");
      }
      for (int b = 0; b < 256; b++) {
        if (b == 0xC0 || b == 0xC1 || b > 0xF4) {
          continue; // these bytes never occur in UTF-8 (RFC 3629, section 1)
        }
        String token =
            byteLevel ? String.valueOf(ByteAlphabet.character(b)) : "<0x%02X>".formatted(b);
        if (!pieces.has(token)) {
          throw problem("byte %d has no token \"%s\"".formatted(b, token));
        }
      }
    }

    private int id(String what, JsonNode id) {
      if (!id.isIntegralNumber() || !id.canConvertToInt()) {
        throw problem(
            what + " has id " + (id.isMissingNode() ? "none" : id) + " but needs a whole number");
      }
      return id.intValue();
    }

    private ObjectNode object(ObjectNode parent, String name) {
      if (parent.path(name) instanceof ObjectNode object) {
        return object;
      }
      throw problem("\"" + name + "\" is missing or not an object");
    }

    private ArrayNode array(ObjectNode parent, String name) {
      if (parent.path(name) instanceof ArrayNode array) {
        return array;
      }
      throw problem("\"" + name + "\" is missing or not an array");
    }

    private TokenizerException problem(String problem) {
      return new TokenizerException(where, problem);
    }
  }
}

package io.millrace.model.tokenizer;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Checks the normalizer, pre-tokenizer and decoder of a {@code tokenizer.json}, and collects what
 * they can do to a text.
 */
final class TokenizerComponents {
  private static final Map<String, Set<String>> TYPES =
      Map.of(
          "normalizer", Set.of("Sequence", "Prepend", "Replace", "NFC", "NFKC"),
          "pre_tokenizer", Set.of("Sequence", "ByteLevel", "Split", "Digits", "Metaspace"),
          "decoder",
              Set.of(
                  "Sequence",
                  "ByteLevel",
                  "Replace",
                  "ByteFallback",
                  "Fuse",
                  "Strip",
                  "Metaspace"));

  private static final int MOST_COMPONENTS = 32;
  private static final int LONGEST_TEXT = 16;

  /** SentencePiece's mark for a space has three bytes; NFKC makes eleven bytes of some. */
  private static final int MOST_GROWTH = 48;

  /** Where a regex replaces text, nothing bounds how much of it one byte stands for. */
  private static final int UNKNOWN_SHRINKAGE = 1 << 20;

  private final String where;
  private final List<String> regexAtoms = new ArrayList<>();
  private int components;
  private long growth = 1;
  private long shrinkage = 1;
  private boolean hasRegex;

  private TokenizerComponents(String where) {
    this.where = where;
  }

  /**
   * Checks the components of a file.
   *
   * @throws TokenizerException naming the component and the problem
   */
  static TokenizerComponents require(String where, JsonNode root) {
    TokenizerComponents checked = new TokenizerComponents(where);
    TYPES.forEach((name, types) -> checked.require(name, root.path(name), types));
    return checked;
  }

  /** Bytes that one byte of text can become before it is split into tokens. */
  int growth() {
    return (int) growth;
  }

  /** Bytes of text that can become one byte before they are split into tokens. */
  int shrinkage() {
    return (int) Math.min(UNKNOWN_SHRINKAGE, shrinkage);
  }

  /** Whether a component has a regular expression. */
  boolean hasRegex() {
    return hasRegex;
  }

  /** Characters that the regular expressions match, for texts that probe them. */
  Set<String> samples() {
    return RegexCheck.samples(regexAtoms);
  }

  private void require(String name, JsonNode component, Set<String> types) {
    if (component.isMissingNode() || component.isNull()) {
      return;
    }
    String type = component.path("type").asText();
    if (!types.contains(type)) {
      throw problem(
          "%s of type \"%s\" is not supported; supported types: %s"
              .formatted(name, type, types.stream().sorted().toList()));
    }
    components++;
    if (components > MOST_COMPONENTS) {
      throw problem("it has more than %d components".formatted(MOST_COMPONENTS));
    }
    boolean decoder = name.equals("decoder");
    switch (type) {
      case "Sequence" -> {
        for (String parts : new String[] {"normalizers", "pretokenizers", "decoders"}) {
          component.path(parts).forEach(part -> require(name, part, types));
        }
      }
      case "Replace" -> requireReplace(name, component, decoder);
      case "Split" -> requirePattern(name, component);
      case "Prepend" -> requireShort(name, "prepend", component);
      case "Strip" -> requireStrip(component);
      case "Metaspace" -> grow(name, decoder ? 1 : 3, 1);
      // The most that a character grows and shrinks by (Unicode Standard Annex 15).
      case "NFC" -> grow(name, 3, 3);
      case "NFKC" -> grow(name, 11, 4);
      default -> {
        // Nothing to check.
      }
    }
  }

  private void requireReplace(String name, JsonNode component, boolean decoder) {
    int content = requireShort(name, "content", component);
    int pattern = requirePattern(name, component);
    if (decoder) {
      return;
    }
    if (pattern == 0) {
      // The expression can match the empty text before each character.
      grow(name, 1 + content, UNKNOWN_SHRINKAGE);
    } else {
      grow(
          name,
          Math.ceilDiv(content, pattern),
          content == 0 ? UNKNOWN_SHRINKAGE : Math.ceilDiv(pattern, content));
    }
  }

  private void grow(String name, int factor, int shrinks) {
    growth *= Math.max(1, factor);
    shrinkage = Math.min(UNKNOWN_SHRINKAGE, shrinkage * Math.max(1, shrinks));
    if (growth > MOST_GROWTH) {
      throw problem(
          "its %s can make a text %d times as long, above the limit of %d"
              .formatted(name, growth, MOST_GROWTH));
    }
  }

  /** Bytes of the pattern, or 0 for a regular expression. */
  private int requirePattern(String name, JsonNode component) {
    JsonNode pattern = component.path("pattern");
    if (pattern.path("Regex").isTextual()) {
      hasRegex = true;
      try {
        regexAtoms.addAll(RegexCheck.require(pattern.path("Regex").textValue()));
      } catch (IllegalArgumentException e) {
        throw problem(
            "%s has the regular expression \"%s\", which is refused: %s"
                .formatted(name, shown(pattern.path("Regex").textValue()), e.getMessage()));
      }
      return 0;
    }
    if (!pattern.path("String").isTextual() || pattern.path("String").textValue().isEmpty()) {
      throw problem(
          "%s has the pattern %s, expected a text or a regular expression"
              .formatted(name, shown(pattern.toString())));
    }
    return pattern.path("String").textValue().getBytes(StandardCharsets.UTF_8).length;
  }

  private int requireShort(String name, String key, JsonNode component) {
    JsonNode text = component.path(key);
    if (!text.isTextual() || text.textValue().length() > LONGEST_TEXT) {
      throw problem(
          "%s has %s %s, expected a text of at most %d characters"
              .formatted(name, key, shown(text.toString()), LONGEST_TEXT));
    }
    return text.textValue().getBytes(StandardCharsets.UTF_8).length;
  }

  /** The library reads beyond a text that is shorter than what it strips from the end. */
  private void requireStrip(JsonNode component) {
    JsonNode start = component.path("start");
    JsonNode stop = component.path("stop");
    if (!start.isInt()
        || start.intValue() < 0
        || start.intValue() > LONGEST_TEXT
        || !stop.isInt()
        || stop.intValue() != 0) {
      throw problem(
          "decoder Strip has start %s and stop %s, expected 0 to %d and 0"
              .formatted(shown(start.toString()), shown(stop.toString()), LONGEST_TEXT));
    }
  }

  private static String shown(String text) {
    return text.length() <= 100 ? text : text.substring(0, 100) + "…";
  }

  private TokenizerException problem(String problem) {
    return new TokenizerException(where, problem);
  }
}

package io.millrace.model.chat;

import io.millrace.model.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Compares two tokenizers. A model can learn from tokens that another model sampled only if both
 * tokenizers have the same tokens and render dialogues the same way.
 */
public final class TokenizerDifference {

  private static final String TEXT = "How  do I\tbake bread? 12,345 caf\u00e9s \ud83d\ude00\n";

  private static final List<Message> DIALOGUE =
      List.of(
          Message.system("Be kind."),
          Message.user(TEXT),
          Message.assistant("With flour."),
          Message.user("And then?"));

  private TokenizerDifference() {}

  /** The first difference, in words; empty if there is none. */
  public static Optional<String> between(Tokenizer one, Tokenizer other) {
    Map<String, Integer> ids = new TreeMap<>(one.vocabulary().ids());
    Map<String, Integer> otherIds = other.vocabulary().ids();
    for (Map.Entry<String, Integer> token : ids.entrySet()) {
      Integer id = otherIds.get(token.getKey());
      if (!token.getValue().equals(id)) {
        return Optional.of(
            "token \"%s\" has id %d in the first vocabulary and %s in the second"
                .formatted(token.getKey(), token.getValue(), id == null ? "no id" : "id " + id));
      }
    }
    if (otherIds.size() != ids.size()) {
      return Optional.of(
          "the first vocabulary has %d tokens and the second %d"
              .formatted(ids.size(), otherIds.size()));
    }
    ChatTemplate template = ChatTemplate.of(one);
    ChatTemplate otherTemplate = ChatTemplate.of(other);
    return Stream.of(
            compare("a text", one.encode(TEXT), other.encode(TEXT)),
            compare(
                "a dialogue",
                template.promptTokens(DIALOGUE),
                otherTemplate.promptTokens(DIALOGUE)),
            compare(
                "a response",
                template.responseTokens("With flour."),
                otherTemplate.responseTokens("With flour.")))
        .flatMap(Optional::stream)
        .findFirst();
  }

  private static Optional<String> compare(String what, int[] tokens, int[] otherTokens) {
    return Arrays.equals(tokens, otherTokens)
        ? Optional.empty()
        : Optional.of(
            "%s becomes %s with the first tokenizer and chat template, and %s with the second"
                .formatted(what, Arrays.toString(tokens), Arrays.toString(otherTokens)));
  }
}

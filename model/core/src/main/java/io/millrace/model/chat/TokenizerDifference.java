package io.millrace.model.chat;

import io.millrace.model.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * In what two tokenizers differ: a model of one can learn tokens that a model of the other sampled
 * only where they agree on every token, and on what becomes of a dialogue.
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

  /** The first difference, for people; none where they agree. */
  public static Optional<String> between(Tokenizer one, Tokenizer other) {
    Map<String, Integer> ids = new TreeMap<>(one.vocabulary().ids());
    Map<String, Integer> otherIds = other.vocabulary().ids();
    for (Map.Entry<String, Integer> token : ids.entrySet()) {
      Integer id = otherIds.get(token.getKey());
      if (!token.getValue().equals(id)) {
        return Optional.of(
            "token \"%s\" is %d in the one vocabulary and %s in the other"
                .formatted(token.getKey(), token.getValue(), id == null ? "not" : id));
      }
    }
    if (otherIds.size() != ids.size()) {
      return Optional.of(
          "the vocabularies have %d and %d tokens".formatted(ids.size(), otherIds.size()));
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
            "%s becomes %s with the one tokenizer and chat template, %s with the other"
                .formatted(what, Arrays.toString(tokens), Arrays.toString(otherTokens)));
  }
}

package io.millrace.jobs.safety;

import io.millrace.model.chat.Message;
import io.millrace.model.chat.Role;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Finds safety prompts by keywords: words or phrases that a user turn has as whole words, in any
 * case. The option {@code keywords} lists them, separated by commas.
 */
public final class KeywordSafetyClassifier implements SafetyClassifier {

  private static final String KEYWORDS = "keywords";

  private Pattern keywords;

  @Override
  public void configure(Map<String, String> options) {
    options.keySet().stream()
        .filter(key -> !key.equals(KEYWORDS))
        .findFirst()
        .ifPresent(
            key -> {
              throw new IllegalArgumentException(
                  "unknown option %s; the only option is %s".formatted(key, KEYWORDS));
            });
    List<String> listed =
        Arrays.stream(options.getOrDefault(KEYWORDS, "").split(","))
            .map(String::strip)
            .filter(keyword -> !keyword.isEmpty())
            .toList();
    if (listed.isEmpty()) {
      throw new IllegalArgumentException(
          KEYWORDS + " must list the words or phrases of safety prompts, separated by commas");
    }
    // \b would see no boundary next to punctuation of a keyword.
    keywords =
        Pattern.compile(
            listed.stream()
                .map(KeywordSafetyClassifier::anyBlanks)
                .collect(Collectors.joining("|", "(?<![\\p{L}\\p{N}])(?:", ")(?![\\p{L}\\p{N}])")),
            Pattern.CASE_INSENSITIVE | Pattern.UNICODE_CASE);
  }

  /** A keyword's expression; any white space may stand between its words. */
  private static String anyBlanks(String keyword) {
    return Arrays.stream(keyword.split("\\s+"))
        .map(Pattern::quote)
        .collect(Collectors.joining("\\s+"));
  }

  @Override
  public boolean isSafety(List<Message> prompt) {
    return prompt.stream()
        .anyMatch(
            message -> message.role() == Role.USER && keywords.matcher(message.content()).find());
  }
}

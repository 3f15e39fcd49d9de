package io.millrace.jobs.evaluation.judge;

import java.util.List;
import java.util.regex.Pattern;

/** Recognises refusals by their words. */
public final class Refusals {

  private final List<Pattern> patterns;

  /**
   * @param expressions regular expressions, found as whole words in any case; curly and straight
   *     apostrophes are equal
   */
  public Refusals(List<String> expressions) {
    this.patterns =
        expressions.stream()
            .map(
                expression ->
                    Pattern.compile(
                        "(?<![\\p{L}\\p{N}])(?:" + straight(expression) + ")(?![\\p{L}\\p{N}])",
                        Pattern.CASE_INSENSITIVE | Pattern.UNICODE_CASE))
            .toList();
  }

  /** Whether a response has one of the expressions. */
  public boolean isRefusal(String response) {
    String text = straight(response);
    return patterns.stream().anyMatch(pattern -> pattern.matcher(text).find());
  }

  private static String straight(String text) {
    return text.replace('\u2019', '\'');
  }
}

package io.millrace.jobs.evaluation.judge;

import java.util.List;
import java.util.regex.Pattern;

/** Tells refusals by their words. */
public final class Refusals {

  private final List<Pattern> patterns;

  /**
   * @param expressions regular expressions, each found as whole words and in any case; a curly
   *     apostrophe is as good as a straight one
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

  public boolean isRefusal(String response) {
    String text = straight(response);
    return patterns.stream().anyMatch(pattern -> pattern.matcher(text).find());
  }

  private static String straight(String text) {
    return text.replace('\u2019', '\'');
  }
}

package io.millrace.serve.completion;

import java.time.Instant;
import java.util.HexFormat;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Ids of completions. An id has the time of the completion, and 80 random bits. */
public final class CompletionIds {

  private static final Pattern ID =
      Pattern.compile("(?:chatcmpl|cmpl)-([0-9a-f]{12})[0-9a-f]{20}(?:/\\d{1,9})?");

  private CompletionIds() {}

  /**
   * A new id.
   *
   * @param random ten random bytes
   */
  static String of(boolean chat, Instant time, byte[] random) {
    return "%s-%012x%s"
        .formatted(
            chat ? "chatcmpl" : "cmpl", time.toEpochMilli(), HexFormat.of().formatHex(random));
  }

  /** The time in the id of a completion or of one of its choices; empty for any other text. */
  public static Optional<Instant> time(String id) {
    Matcher matcher = ID.matcher(id);
    return matcher.matches()
        ? Optional.of(Instant.ofEpochMilli(Long.parseLong(matcher.group(1), 16)))
        : Optional.empty();
  }
}

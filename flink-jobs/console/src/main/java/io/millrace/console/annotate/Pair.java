package io.millrace.console.annotate;

import io.millrace.schemas.Objective;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** Two responses to the same prompt. */
record Pair(String id, Response first, Response second) {

  private static final int ID_BYTES = 16;

  /** The id does not depend on the order of the responses. */
  static Pair of(Response one, Response other) {
    boolean ordered = one.rolloutId().compareTo(other.rolloutId()) < 0;
    Response first = ordered ? one : other;
    Response second = ordered ? other : one;
    return new Pair(id(first.rolloutId() + "\n" + second.rolloutId()), first, second);
  }

  /** A hash of a text, 32 hexadecimal digits. */
  static String id(String text) {
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
      return HexFormat.of().formatHex(digest, 0, ID_BYTES);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  Objective objective() {
    return first.isSafety() ? Objective.SAFETY : Objective.HELPFULNESS;
  }

  /** The newer of both policy versions. */
  long version() {
    return Math.max(first.version(), second.version());
  }

  /** The response of a rollout of this pair. */
  Response response(String rolloutId) {
    return first.rolloutId().equals(rolloutId) ? first : second;
  }
}

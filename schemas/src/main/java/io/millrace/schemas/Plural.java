package io.millrace.schemas;

/** Counted nouns in messages. */
public final class Plural {

  private Plural() {}

  /**
   * A count and its noun, such as "1 record" and "2 records".
   *
   * @param noun whose plural has an s
   */
  public static String of(long count, String noun) {
    return count + " " + noun + (count == 1 ? "" : "s");
  }
}

package io.millrace.world;

import java.util.Locale;

/** How an annotator of the demo world judges. */
public enum AnnotatorKind {
  /** Chooses by gold reward, with little noise. */
  CAREFUL,

  /** Chooses with much noise, and chooses one side for some of the pairs without reading them. */
  HASTY,

  /** Chooses the worse response, claims a large difference and inverts safety labels. */
  ADVERSARIAL;

  /** Its name in files. */
  public String key() {
    return name().toLowerCase(Locale.ROOT);
  }
}

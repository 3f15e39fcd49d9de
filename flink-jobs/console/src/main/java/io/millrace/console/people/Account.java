package io.millrace.console.people;

import java.util.Locale;

/** A person, or a program. */
public record Account(String name, Role role, String token) {

  private static final int LEAST_TOKEN = 16;
  private static final int MOST_TOKEN = 256;

  public Account {
    if (!name.matches("[\\p{L}\\p{N}][\\p{L}\\p{N}._@-]{0,63}")) {
      throw new IllegalArgumentException(
          "account name '%s' must have 1 to 64 letters, digits, '.', '_', '@' and '-'"
              .formatted(name));
    }
    if (token.length() < LEAST_TOKEN || token.length() > MOST_TOKEN) {
      throw new IllegalArgumentException(
          "the token of account '%s' has %d characters; it must have %d to %d"
              .formatted(name, token.length(), LEAST_TOKEN, MOST_TOKEN));
    }
  }

  /** Leaves out the token. */
  @Override
  public String toString() {
    return name + " (" + role.name().toLowerCase(Locale.ROOT) + ")";
  }
}

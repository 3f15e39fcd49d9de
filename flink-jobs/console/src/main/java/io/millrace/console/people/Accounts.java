package io.millrace.console.people;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** The accounts by name. Tokens are compared in constant time. */
public final class Accounts {

  private final Map<String, Account> byName = new LinkedHashMap<>();

  public Accounts(List<Account> accounts) {
    for (Account account : accounts) {
      if (byName.put(account.name(), account) != null) {
        throw new IllegalArgumentException(
            "there are two accounts '%s'; give each a name of its own".formatted(account.name()));
      }
    }
  }

  /**
   * Reads an account.
   *
   * @param text name, role and token, separated by blanks or colons
   * @param place where it stands, for messages, which never have the token
   */
  public static Account parse(String text, String place) {
    String[] parts = text.strip().split("[\\s:]+", 3);
    Optional<Role> role =
        parts.length < 3
            ? Optional.empty()
            : Arrays.stream(Role.values())
                .filter(each -> each.name().toLowerCase(Locale.ROOT).equals(parts[1]))
                .findFirst();
    if (role.isEmpty()) {
      throw new IllegalArgumentException(
          "%s must be an account: NAME ROLE TOKEN, where ROLE is annotator, reviewer or operator"
              .formatted(place));
    }
    try {
      return new Account(parts[0], role.get(), parts[2].strip());
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(place + ": " + e.getMessage(), e);
    }
  }

  /** The account of a token. */
  public Optional<Account> withToken(String token) {
    byte[] given = Macs.sha256(token.getBytes(StandardCharsets.UTF_8));
    Account found = null;
    for (Account account : byName.values()) {
      byte[] known = Macs.sha256(account.token().getBytes(StandardCharsets.UTF_8));
      if (MessageDigest.isEqual(known, given)) {
        found = account;
      }
    }
    return Optional.ofNullable(found);
  }

  Optional<Account> named(String name) {
    return Optional.ofNullable(byName.get(name));
  }
}

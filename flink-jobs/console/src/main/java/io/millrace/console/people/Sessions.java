package io.millrace.console.people;

import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Sessions in signed cookies: {@code name.expiry.nonce.signature}. The key is the account's token,
 * so that all consoles with the same accounts know a session, also after a restart, and a new token
 * ends the sessions of the old one. A session that was ended by its user is remembered until it
 * would have expired, by this console.
 */
public final class Sessions {

  private static final int PARTS = 4;
  private static final int NONCE_BYTES = 16;
  private static final int LONGEST = 1024;

  private final Accounts accounts;
  private final Duration length;
  private final Clock clock;
  private final SecureRandom random = new SecureRandom();
  private final Map<String, Instant> ended = new ConcurrentHashMap<>();

  public Sessions(Accounts accounts, Duration length, Clock clock) {
    this.accounts = accounts;
    this.length = length;
    this.clock = clock;
  }

  /**
   * A session.
   *
   * @param csrf a token that requests with effects must have in a header
   */
  public record Session(Account account, String csrf) {}

  /** The cookie of a new session. */
  public String begin(Account account) {
    byte[] nonce = new byte[NONCE_BYTES];
    random.nextBytes(nonce);
    String content =
        "%s.%d.%s"
            .formatted(
                Base64.getUrlEncoder()
                    .withoutPadding()
                    .encodeToString(account.name().getBytes(StandardCharsets.UTF_8)),
                clock.instant().plus(length).getEpochSecond(),
                HexFormat.of().formatHex(nonce));
    return content + "." + Macs.of(account.token(), "session " + content);
  }

  /** The session of a cookie; empty if it is forged, expired or ended. */
  public Optional<Session> of(String cookie) {
    String[] parts = cookie.split("\\.", -1);
    if (cookie.length() > LONGEST || parts.length != PARTS || ended.containsKey(cookie)) {
      return Optional.empty();
    }
    try {
      String name = new String(Base64.getUrlDecoder().decode(parts[0]), StandardCharsets.UTF_8);
      Optional<Account> account = accounts.named(name);
      String content = parts[0] + "." + parts[1] + "." + parts[2];
      if (account.isEmpty()
          || !Macs.isSame(Macs.of(account.get().token(), "session " + content), parts[3])
          || !Instant.ofEpochSecond(Long.parseLong(parts[1])).isAfter(clock.instant())) {
        return Optional.empty();
      }
      return Optional.of(
          new Session(account.get(), Macs.of(account.get().token(), "csrf " + cookie)));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  /** Whether a request has the token of its session. */
  public static boolean isGenuine(Session session, String csrf) {
    return Macs.isSame(session.csrf(), csrf);
  }

  /** Ends a session. */
  public void end(String cookie) {
    Instant now = clock.instant();
    ended.values().removeIf(now::isAfter);
    if (of(cookie).isPresent()) {
      ended.put(cookie, now.plus(length));
    }
  }

  public Duration length() {
    return length;
  }
}

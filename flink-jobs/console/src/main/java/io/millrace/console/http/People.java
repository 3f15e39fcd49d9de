package io.millrace.console.http;

import io.millrace.console.people.Account;
import io.millrace.console.people.Accounts;
import io.millrace.console.people.RateLimit;
import io.millrace.console.people.Sessions;
import java.time.Clock;
import java.time.Duration;
import java.util.Optional;

/**
 * Who may use the console.
 *
 * @param everybody the account of every visitor; empty if visitors need a token
 * @param session how long a session lasts
 * @param requests most requests of an account in a minute
 * @param logins most attempts to sign in from an address in a minute
 * @param secure whether cookies go over TLS only
 */
public record People(
    Accounts accounts,
    Optional<Account> everybody,
    Duration session,
    int requests,
    int logins,
    boolean secure,
    Clock clock) {

  Access access() {
    return new Access(
        accounts,
        new Sessions(accounts, session, clock),
        everybody,
        new RateLimit(requests, clock),
        new RateLimit(logins, clock),
        secure);
  }
}

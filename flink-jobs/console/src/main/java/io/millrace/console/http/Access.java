package io.millrace.console.http;

import io.helidon.http.HeaderName;
import io.helidon.http.HeaderNames;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import io.millrace.console.people.Account;
import io.millrace.console.people.Accounts;
import io.millrace.console.people.RateLimit;
import io.millrace.console.people.Role;
import io.millrace.console.people.Sessions;
import io.millrace.console.people.Sessions.Session;
import io.millrace.serve.api.ApiException;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Who may do what: cookies, CSRF tokens, roles and rate limits. */
final class Access {

  private static final Logger LOG = LoggerFactory.getLogger(Access.class);
  private static final HeaderName CSRF = HeaderNames.create("X-Millrace-Csrf");
  private static final HeaderName SITE = HeaderNames.create("Sec-Fetch-Site");
  private static final String COOKIE = "millrace_console";
  private static final Duration RETRY = Duration.ofSeconds(10);

  private final Accounts accounts;
  private final Sessions sessions;
  private final Optional<Account> everybody;
  private final RateLimit requests;
  private final RateLimit logins;
  private final boolean secure;

  /**
   * @param everybody the account of every visitor; empty if visitors need a token
   * @param secure whether cookies go over TLS only
   */
  Access(
      Accounts accounts,
      Sessions sessions,
      Optional<Account> everybody,
      RateLimit requests,
      RateLimit logins,
      boolean secure) {
    this.accounts = accounts;
    this.sessions = sessions;
    this.everybody = everybody;
    this.requests = requests;
    this.logins = logins;
    this.secure = secure;
  }

  /** Counts an attempt to sign in, before anything of its body is read. */
  void requireAttempt(ServerRequest request) {
    requireSameSite(request);
    if (!logins.allow(request.remotePeer().host())) {
      throw ApiException.busy(RETRY, "too many attempts to sign in; wait a minute");
    }
  }

  /** Begins a session for a token. */
  Session login(ServerRequest request, ServerResponse response, String token) {
    Optional<Account> account = accounts.withToken(token);
    if (account.isEmpty()) {
      LOG.warn("A wrong token came from {}", request.remotePeer().host());
      throw ApiException.unauthorized("the token is wrong");
    }
    LOG.info("{} signed in from {}", account.get(), request.remotePeer().host());
    return begin(response, account.get());
  }

  private Session begin(ServerResponse response, Account account) {
    String cookie = sessions.begin(account);
    response.header(HeaderNames.SET_COOKIE, cookie(cookie, sessions.length().toSeconds()));
    return sessions.of(cookie).orElseThrow();
  }

  private String cookie(String value, long seconds) {
    return "%s=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s"
        .formatted(COOKIE, value, seconds, secure ? "; Secure" : "");
  }

  void logout(ServerRequest request, ServerResponse response) {
    value(request).ifPresent(sessions::end);
    response.header(HeaderNames.SET_COOKIE, cookie("", 0));
  }

  /** The session of a request; a visitor who needs no token gets one. */
  Optional<Session> session(ServerRequest request, ServerResponse response) {
    Optional<Session> session = value(request).flatMap(sessions::of);
    return session.isPresent() ? session : everybody.map(account -> begin(response, account));
  }

  /** Requires a session with a role, for a request that changes nothing. */
  Session read(ServerRequest request, Role least) {
    Session session =
        value(request)
            .flatMap(sessions::of)
            .orElseThrow(() -> ApiException.unauthorized("sign in first"));
    if (!requests.allow(session.account().name())) {
      throw ApiException.busy(RETRY, "too many requests; wait a moment");
    }
    if (session.account().role().compareTo(least) < 0) {
      throw ApiException.forbidden(
          "this needs the role %s".formatted(least.name().toLowerCase(Locale.ROOT)));
    }
    return session;
  }

  /** Requires a session with a role, and that the request comes from the page itself. */
  Session write(ServerRequest request, Role least) {
    requireSameSite(request);
    Session session = read(request, least);
    if (!Sessions.isGenuine(session, request.headers().first(CSRF).orElse(""))) {
      throw ApiException.forbidden(
          "the header X-Millrace-Csrf is missing or wrong; load the page again");
    }
    return session;
  }

  private static void requireSameSite(ServerRequest request) {
    String site = request.headers().first(SITE).orElse("same-origin");
    if (!site.equals("same-origin") && !site.equals("none")) {
      throw ApiException.forbidden("the request comes from another site");
    }
  }

  private static Optional<String> value(ServerRequest request) {
    return request.headers().cookies().first(COOKIE).asOptional();
  }
}

package io.millrace.jobs.rest;

import java.net.URI;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Decides which requests Flink's REST interface answers. A page of another site that is open in the
 * operator's browser must not read, cancel or submit jobs:
 *
 * <ul>
 *   <li>On a loopback address the header {@code Host} must name the loopback interface; a page
 *       whose own name resolves to it (DNS rebinding) sends another one.
 *   <li>The header {@code Origin}, if there is one, must name the host that was asked.
 *   <li>{@code Sec-Fetch-Site}, which browsers send, must not be another site, except to open the
 *       web UI itself.
 *   <li>The two requests that change something with GET need a page of this server.
 * </ul>
 */
final class RequestGuard {

  private static final Set<String> LOOPBACK = Set.of("localhost", "127.0.0.1", "[::1]");
  private static final Set<String> OWN_PAGE = Set.of("same-origin", "none");
  private static final Pattern PORT = Pattern.compile(":\\d*$");

  /** Flink's web UI cancels with GET. */
  private static final Pattern CHANGING_GET = Pattern.compile("/yarn-(cancel|stop)/*$");

  private final boolean isLoopback;

  /**
   * @param isLoopback whether the server listens on the loopback interface only
   */
  RequestGuard(boolean isLoopback) {
    this.isLoopback = isLoopback;
  }

  /**
   * The relevant parts of a request; absent headers are null.
   *
   * @param path without the query
   */
  record Request(String method, String path, String host, String origin, String fetchSite) {}

  /** Why a request is refused; empty if it is answered. */
  Optional<String> refusal(Request request) {
    if (request.host() == null || request.host().isBlank()) {
      return Optional.of("the request has no header Host");
    }
    if (isLoopback && !LOOPBACK.contains(name(request.host()))) {
      return Optional.of("Host '%s' is not this machine".formatted(request.host()));
    }
    if (request.origin() != null && !sameHost(request.origin(), request.host())) {
      return Optional.of("Origin '%s' is another site".formatted(request.origin()));
    }
    boolean opensUi = request.method().equals("GET") && request.path().equals("/");
    if (request.fetchSite() != null && !OWN_PAGE.contains(request.fetchSite()) && !opensUi) {
      return Optional.of("a page of another site sent the request");
    }
    if (request.method().equals("GET")
        && CHANGING_GET.matcher(request.path()).find()
        && !"same-origin".equals(request.fetchSite())) {
      return Optional.of(
          "GET cancels jobs only from Flink's own web UI; use 'millrace cancel', or PATCH");
    }
    return Optional.empty();
  }

  private static String name(String host) {
    return PORT.matcher(host.strip().toLowerCase(Locale.ROOT)).replaceFirst("");
  }

  private static boolean sameHost(String origin, String host) {
    try {
      String authority = URI.create(origin).getRawAuthority();
      return authority != null && authority.equalsIgnoreCase(host.strip());
    } catch (IllegalArgumentException e) {
      // Also "null", the origin of a sandboxed page.
      return false;
    }
  }
}

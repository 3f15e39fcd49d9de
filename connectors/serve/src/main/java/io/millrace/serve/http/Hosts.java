package io.millrace.serve.http;

import io.millrace.serve.api.ApiException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/**
 * The hosts for which requests may be. A server on loopback answers no request for another name: a
 * web page could otherwise reach it through a name that its owner points to this machine.
 */
public final class Hosts {

  private static final Set<String> LOOPBACK = Set.of("localhost", "127.0.0.1", "[::1]", "::1");

  private final String host;
  private final boolean loopback;

  public Hosts(String host) {
    this.host = host.toLowerCase(Locale.ROOT);
    try {
      this.loopback = InetAddress.getByName(host).isLoopbackAddress();
    } catch (UnknownHostException e) {
      throw new IllegalArgumentException(
          "the host to listen on is \"%s\", which is no name or address of this machine"
              .formatted(host),
          e);
    }
  }

  public void require(Optional<String> header) {
    if (!loopback) {
      return;
    }
    String name = header.orElse("").toLowerCase(Locale.ROOT).replaceFirst(":\\d*$", "");
    if (!LOOPBACK.contains(name) && !name.equals(host)) {
      throw ApiException.badRequest(
          "invalid_host",
          "the header Host names another host; this server answers for %s only".formatted(host));
    }
  }
}

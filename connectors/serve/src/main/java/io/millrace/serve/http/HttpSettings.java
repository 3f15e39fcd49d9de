package io.millrace.serve.http;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * Where a server listens, and its limits.
 *
 * @param host name or address to bind
 * @param port 0 for a free one
 * @param apiKeys keys of which a client must have one; without keys any client may call
 * @param tls certificate and private key; empty for plain HTTP
 * @param maxRequestBytes most bytes of a request's body
 * @param maxConnections most connections at once
 * @param requestTimeout within which a client must have sent a request, once its connection is open
 *     or idle again
 * @param deadline within which a response must have ended
 * @param drain how long requests in flight may last once the server stops
 */
public record HttpSettings(
    String host,
    int port,
    List<String> apiKeys,
    Optional<Tls> tls,
    int maxRequestBytes,
    int maxConnections,
    Duration requestTimeout,
    Duration deadline,
    Duration drain) {

  public HttpSettings {
    apiKeys = List.copyOf(apiKeys);
  }

  /**
   * Files in PEM form.
   *
   * @param certificates the server's certificate, followed by those of its issuers
   * @param privateKey in PKCS #8
   */
  public record Tls(Path certificates, Path privateKey) {}

  /** Leaves out the keys. */
  @Override
  public String toString() {
    return "HttpSettings[%s:%d, %d keys, tls=%s]"
        .formatted(host, port, apiKeys.size(), tls.isPresent());
  }
}

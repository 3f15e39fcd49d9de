package io.millrace.serve.http;

import io.millrace.serve.api.ApiException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.Optional;

/** The keys of which a client must have one. They are compared in constant time. */
final class ApiKeys {

  private static final String BEARER = "Bearer ";

  private final List<byte[]> digests;

  ApiKeys(List<String> keys) {
    this.digests = keys.stream().map(ApiKeys::digest).toList();
  }

  /**
   * Checks the header {@code Authorization}.
   *
   * @throws ApiException 401 unless it has one of the keys
   */
  void require(Optional<String> authorization) {
    if (digests.isEmpty()) {
      return;
    }
    String header =
        authorization
            .filter(value -> value.regionMatches(true, 0, BEARER, 0, BEARER.length()))
            .orElseThrow(
                () ->
                    ApiException.unauthorized(
                        "the request has no API key; send the header Authorization: Bearer KEY"));
    byte[] given = digest(header.substring(BEARER.length()).strip());
    boolean known = false;
    for (byte[] digest : digests) {
      known |= MessageDigest.isEqual(digest, given);
    }
    if (!known) {
      throw ApiException.unauthorized("the API key is wrong; send one of the server's keys");
    }
  }

  /** Digests have one length, so that the time of a comparison says nothing about a key's. */
  private static byte[] digest(String key) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(key.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}

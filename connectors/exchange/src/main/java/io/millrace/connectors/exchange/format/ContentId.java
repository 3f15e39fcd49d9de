package io.millrace.connectors.exchange.format;

import io.millrace.schemas.Sha256;
import io.millrace.schemas.Turn;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;

/**
 * Ids made of a record's content: the same row gives the same id in every file and every import.
 */
final class ContentId {
  private final MessageDigest digest = Sha256.newDigest();

  /** Adds a part of the content. */
  ContentId add(Object part) {
    byte[] bytes = String.valueOf(part).getBytes(StandardCharsets.UTF_8);
    // The length keeps neighbours apart.
    digest.update(ByteBuffer.allocate(Integer.BYTES).putInt(bytes.length).flip());
    digest.update(bytes);
    return this;
  }

  ContentId add(List<Turn> dialogue) {
    add(dialogue.size());
    dialogue.forEach(turn -> add(turn.getRole()).add(turn.getContent()));
    return this;
  }

  /** Ends the content. */
  byte[] finish() {
    return digest.digest();
  }

  /** An id of a prefix and the first 16 bytes of a finished content. */
  static String id(String prefix, byte[] content) {
    return prefix + "-" + HexFormat.of().formatHex(content, 0, 16);
  }
}

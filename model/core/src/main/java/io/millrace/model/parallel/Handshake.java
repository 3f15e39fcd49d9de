package io.millrace.model.parallel;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.function.IntFunction;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Both sides of a new connection prove that they know the secret of the attempt, without sending
 * it: by HMAC-SHA256 (RFC 2104) over the rank, the number of ranks and a random number of each
 * side.
 */
final class Handshake {

  /** Also for a connection of something else, which sends nothing. */
  static final Duration PATIENCE = Duration.ofSeconds(10);

  private static final long MAGIC = 0x4d494c4c52414e4bL; // MILLRANK
  private static final int NONCE = 16;
  private static final String ALGORITHM = "HmacSHA256";
  private static final int DIGEST = 32;
  private static final SecureRandom RANDOM = new SecureRandom();

  private final DataInputStream in;
  private final DataOutputStream out;
  private final byte[] secret;

  Handshake(SocketChannel channel, byte[] secret) throws IOException {
    channel.socket().setSoTimeout(Link.millis(PATIENCE));
    this.in = new DataInputStream(channel.socket().getInputStream());
    this.out = new DataOutputStream(channel.socket().getOutputStream());
    this.secret = secret.clone();
  }

  private static byte[] nonce() {
    byte[] nonce = new byte[NONCE];
    RANDOM.nextBytes(nonce);
    return nonce;
  }

  static byte[] newSecret() {
    byte[] secret = new byte[DIGEST];
    RANDOM.nextBytes(secret);
    return secret;
  }

  /**
   * The side of rank 0.
   *
   * @param refusal of a rank that proved itself; null to take it
   * @return the other rank
   * @throws IOException if it is none of these ranks
   */
  int accept(int size, IntFunction<String> refusal) throws IOException {
    byte[] ours = nonce();
    out.writeLong(MAGIC);
    out.write(ours);
    out.flush();
    if (in.readLong() != MAGIC) {
      throw new IOException("it is not a rank");
    }
    int rank = in.readInt();
    int theirSize = in.readInt();
    byte[] theirs = in.readNBytes(NONCE);
    byte[] proof = in.readNBytes(DIGEST);
    if (!MessageDigest.isEqual(proof, proof('r', rank, theirSize, ours, theirs))) {
      throw new IOException("it does not know the secret of this attempt");
    }
    String refused =
        theirSize != size || rank < 1 || rank >= size
            ? "rank %d of %d is not among ranks 1 to %d".formatted(rank, theirSize, size - 1)
            : refusal.apply(rank);
    out.write(proof('0', rank, size, theirs, ours));
    out.writeUTF(refused == null ? "" : refused);
    out.flush();
    if (refused != null) {
      throw new IOException(refused);
    }
    return rank;
  }

  /**
   * The side of any other rank.
   *
   * @throws IOException if the other side is not rank 0 of this attempt, or refuses the rank
   */
  void request(int rank, int size) throws IOException {
    if (in.readLong() != MAGIC) {
      throw new IOException("it is not rank 0 of a trainer");
    }
    byte[] theirs = in.readNBytes(NONCE);
    byte[] ours = nonce();
    out.writeLong(MAGIC);
    out.writeInt(rank);
    out.writeInt(size);
    out.write(ours);
    out.write(proof('r', rank, size, theirs, ours));
    out.flush();
    byte[] proof = in.readNBytes(DIGEST);
    if (!MessageDigest.isEqual(proof, proof('0', rank, size, ours, theirs))) {
      throw new IOException("it does not know the secret of this attempt");
    }
    String refused = in.readUTF();
    if (!refused.isEmpty()) {
      throw new IOException("it refused this rank: " + refused);
    }
  }

  private byte[] proof(char side, int rank, int size, byte[] received, byte[] sent) {
    try {
      Mac mac = Mac.getInstance(ALGORITHM);
      mac.init(new SecretKeySpec(secret, ALGORITHM));
      mac.update(
          ByteBuffer.allocate(Character.BYTES + 2 * Integer.BYTES)
              .putChar(side)
              .putInt(rank)
              .putInt(size)
              .array());
      mac.update(received);
      return mac.doFinal(sent);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("every Java runtime has " + ALGORITHM, e);
    }
  }
}

package io.millrace.connectors.flink.decode;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.flink.source.Received;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.SingleObject;
import java.nio.ByteBuffer;
import java.time.Clock;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;

class DeadLettersTest {
  private static final KafkaSettings KAFKA =
      new KafkaSettings(
          "localhost:9092", "millrace.", Map.of(), KafkaSettings.LEAST_MAX_RECORD_BYTES);
  private static final DeadLetters LETTERS = new DeadLetters("rollout", KAFKA, Clock.systemUTC());

  @Test
  void aRecordThatFitsIsWhole() {
    DeadLetter letter = letter(new byte[] {1}, new byte[20_000], "no dialogue");
    assertEquals(20_000, letter.getValue().remaining());
    assertEquals(20_000, letter.getValueSize());
    assertEquals(1, letter.getKeySize());
    // From: head -c 20000 /dev/zero | sha256sum
    assertEquals(
        "28b4f41a7f3ee6d8cc87272db6e09c6d3566551fd4d18702b041a21658272a85",
        letter.getValueSha256());
    DeadLetter empty = letter(null, null, "a tombstone");
    assertNull(empty.getKeySize());
    assertNull(empty.getValueSha256());
  }

  @Test
  void aLargerOneIsCutAndHasItsFullSizeAndDigest() {
    byte[] zeros = new byte[1_000_000];
    DeadLetter letter = letter(new byte[400_000], zeros, "x".repeat(1_000_000));
    // From: head -c 1000000 /dev/zero | sha256sum
    assertEquals(
        "d29751f2649b32ff572b5e0a9f541ea660a50f94ff0beedfb0b692b924cc8025",
        letter.getValueSha256());
    assertEquals(1_000_000, letter.getValueSize());
    assertEquals(400_000, letter.getKeySize());
    byte[] kept = bytes(letter.getValue());
    assertArrayEquals(Arrays.copyOf(zeros, kept.length), kept);
    assertTrue(kept.length >= 1024, "the beginning shows what the record was");
    assertFits(letter);
  }

  @Test
  void everySizeFits() {
    String path = "/" + "d".repeat(4095);
    for (int size = 0; size < 70_000; size += 500) {
      for (byte[] key : new byte[][] {null, new byte[size]}) {
        Received received = new Received(path, 1, 2, 3, key, new byte[size]);
        assertFits(LETTERS.of(received, new RefusedRecordException("invalid", "é".repeat(9000))));
      }
    }
    assertFits(LETTERS.tooLarge(Topic.ROLLOUTS, new byte[90_000], new byte[90_000]));
  }

  private static DeadLetter letter(byte[] key, byte[] value, String message) {
    return LETTERS.of(
        new Received("millrace.prompts", 1, 2, 3, key, value),
        new RefusedRecordException("invalid", message));
  }

  private static void assertFits(DeadLetter letter) {
    byte[] key = Topic.DEAD_LETTERS.keyBytes(letter);
    byte[] value = SingleObject.of(DeadLetter.class).encode(letter);
    assertTrue(KAFKA.fits(key, value), () -> key.length + value.length + " bytes");
  }

  private static byte[] bytes(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.remaining()];
    buffer.duplicate().get(bytes);
    return bytes;
  }
}

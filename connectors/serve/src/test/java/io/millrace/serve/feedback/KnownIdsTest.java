package io.millrace.serve.feedback;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.time.Instant;
import java.util.Map;
import org.junit.jupiter.api.Test;

class KnownIdsTest {

  private static final Instant START = Instant.parse("2026-01-01T00:00:00Z");

  private final KnownIds ids = new KnownIds();

  private static Instant hour(int hour) {
    return START.plusSeconds(3600L * hour);
  }

  @Test
  void theHighestRevisionIsKnownWithAllItsTopics() {
    ids.add("a", 1, Map.of("judgments", 5L), hour(1));
    ids.add("a", 0, Map.of("judgments", 4L), hour(0));
    assertEquals(new KnownIds.Known(1, Map.of("judgments", 5L), hour(1)), ids.get("a"));
    ids.add("a", 1, Map.of("feedback", 6L), hour(2));
    assertEquals(
        new KnownIds.Known(1, Map.of("feedback", 6L, "judgments", 5L), hour(2)), ids.get("a"));
  }

  @Test
  void idsAreForgottenAfterTheirLatestRecord() {
    // Topics are read one after the other, so times do not come in order.
    for (int i = 0; i < 100; i++) {
      ids.add("id-" + i, 0, Map.of(), hour((i * 37) % 100));
    }
    ids.add("id-0", 1, Map.of(), hour(80));
    ids.forgetBefore(hour(50));
    assertEquals(51, ids.size());
    assertEquals(1, ids.get("id-0").revision());
    assertNull(ids.get("id-1"));
    ids.forgetBefore(hour(1000));
    assertEquals(0, ids.size());
    ids.add("id-1", 0, Map.of(), hour(1001));
    assertEquals(0, ids.get("id-1").revision());
  }
}

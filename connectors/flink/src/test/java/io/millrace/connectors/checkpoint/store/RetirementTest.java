package io.millrace.connectors.checkpoint.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

class RetirementTest {
  /** The time of version 0. Each version is written a minute after the one before. */
  private static final Instant START = Instant.parse("2026-03-01T00:00:00Z");

  private static final long NOTHING_PENDING = Long.MAX_VALUE;

  @TempDir private Path root;
  private CheckpointStore store;

  @BeforeEach
  void open() {
    store = new CheckpointStore(root.toString());
  }

  private void publish(long from, long to) throws IOException {
    for (long version = from; version <= to; version++) {
      String content = "{\"version\":" + version + "}";
      store.commit(
          store.stage(
              "policy",
              version,
              directory -> Files.writeString(directory.resolve("millrace.json"), content)));
      Files.setLastModifiedTime(
          store.directory("policy", version).resolve("millrace.json"),
          FileTime.from(START.plus(Duration.ofMinutes(version))));
    }
  }

  private List<Long> retire(Retention retention, long minute, long before) {
    Clock clock = Clock.fixed(START.plus(Duration.ofMinutes(minute)), ZoneOffset.UTC);
    return new Retirement(store, retention, clock).retire("policy", before);
  }

  private static Retention keep(int newest, Duration grace) {
    return new Retention(newest, 0, grace, List.of());
  }

  @Test
  void withoutARetentionAllVersionsStay() throws IOException {
    publish(1, 5);
    assertEquals(List.of(), retire(Retention.all(), 1_000_000, NOTHING_PENDING));
    assertEquals(List.of(1L, 2L, 3L, 4L, 5L), store.versions("policy"));
  }

  @Test
  void theFirstTheNewestAndEveryKthStay() throws IOException {
    publish(3, 14);
    Retention retention = new Retention(3, 5, Duration.ZERO, List.of());
    assertEquals(List.of(4L, 6L, 7L, 8L, 9L, 11L), retire(retention, 14, NOTHING_PENDING));
    assertEquals(List.of(3L, 5L, 10L, 12L, 13L, 14L), store.versions("policy"));
    assertEquals(14, store.latestVersion("policy"));
    assertFalse(Files.exists(root.resolve("policy/.retired")));
  }

  @Test
  void thePolicyThatJobsStartFromStays() throws IOException {
    publish(1, 6);
    String link =
        Files.createSymbolicLink(root.resolve("initial"), root.resolve("policy/v000003"))
            .toString();
    Retention retention =
        new Retention(
            1, 0, Duration.ZERO, List.of(store.uri("policy", 2), link, "/not/here", "v000004"));
    assertEquals(List.of(4L, 5L), retire(retention, 6, NOTHING_PENDING));
  }

  @Test
  void servedVersionsStayAndNoneIsDeletedWhileTheServedOnesAreUnknown() throws IOException {
    publish(1, 6);
    Retention retention = keep(1, Duration.ZERO);
    Retirement withoutBroker =
        new Retirement(
            store,
            retention,
            Clock.systemUTC(),
            _ -> {
              throw new IOException("no broker");
            });
    assertEquals(List.of(), withoutBroker.retire("policy", NOTHING_PENDING));
    Retirement retirement =
        new Retirement(store, retention, Clock.systemUTC(), _ -> Set.of(3L, 2L));
    assertEquals(List.of(4L, 5L), retirement.retire("policy", NOTHING_PENDING));
    assertEquals(List.of(1L, 2L, 3L, 6L), store.versions("policy"));
  }

  @Test
  void aVersionStaysForTheGracePeriodAfterItWasReplaced() throws IOException {
    publish(1, 6);
    // Two versions are kept. So versions 4, 5 and 6 replaced 2, 3 and 4, in minutes 4, 5 and 6.
    Retention retention = keep(2, Duration.ofMinutes(10));
    assertEquals(List.of(), retire(retention, 13, NOTHING_PENDING));
    assertEquals(List.of(2L, 3L), retire(retention, 15, NOTHING_PENDING));
    assertEquals(List.of(4L), retire(retention, 16, NOTHING_PENDING));
    assertEquals(List.of(1L, 5L, 6L), store.versions("policy"));
  }

  @Test
  void versionsThatMayStillBeCommittedStay() throws IOException {
    publish(1, 6);
    assertEquals(List.of(2L), retire(keep(1, Duration.ZERO), 6, 3));
  }

  @Test
  void aRetiredVersionIsReportedAsRetired() throws IOException {
    publish(1, 4);
    retire(keep(1, Duration.ZERO), 4, NOTHING_PENDING);
    assertTrue(CheckpointStore.isRetired(store.uri("policy", 2)));
    assertTrue(CheckpointStore.isRetired(store.directory("policy", 3).toString()));
    assertFalse(CheckpointStore.isRetired(store.uri("policy", 1)), "the first stays");
    assertFalse(CheckpointStore.isRetired(store.uri("policy", 4)), "the newest stays");
    assertFalse(CheckpointStore.isRetired(store.uri("policy", 5)), "not published yet");
    assertFalse(CheckpointStore.isRetired(store.uri("other", 1)), "no such model");
    assertFalse(CheckpointStore.isRetired("s3://bucket/policy/v000002"), "no such file system");
    assertFalse(CheckpointStore.isRetired("/"), "not a version");
  }

  @Test
  void theRemainsOfAnInterruptedRetirementAreDeleted() throws IOException {
    publish(1, 3);
    Files.createDirectories(root.resolve("policy/.retired/v000002/half"));
    assertEquals(List.of(2L), retire(keep(1, Duration.ZERO), 3, NOTHING_PENDING));
    assertFalse(Files.exists(root.resolve("policy/.retired")));
  }

  @Test
  void refusesNegativeValues() {
    assertRefused("keep is -1", () -> keep(-1, Duration.ZERO));
    assertRefused("grace is PT-1S", () -> keep(1, Duration.ofSeconds(-1)));
    assertRefused("keep-every is -2", () -> new Retention(1, -2, Duration.ZERO, List.of()));
  }

  private static void assertRefused(String start, Executable retention) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, retention);
    assertTrue(e.getMessage().startsWith(start + ";"), e.getMessage());
  }
}

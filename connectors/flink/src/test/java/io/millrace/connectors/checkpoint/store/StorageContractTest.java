package io.millrace.connectors.checkpoint.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The contract of a checkpoint store, on every kind of storage. */
class StorageContractTest {
  @TempDir Path temporary;

  private String root;

  private CheckpointStore open(StoreUnderTest kind) {
    root = kind.root(temporary);
    return reopen();
  }

  private CheckpointStore reopen() {
    return new CheckpointStore(root, temporary.resolve("scratch").toString());
  }

  private static StagedFiles stage(CheckpointStore store, long version, String word)
      throws IOException {
    return store.stage("policy", version, directory -> TestCheckpoint.write(directory, word));
  }

  private void publish(CheckpointStore store, long... versions) throws IOException {
    for (long version : versions) {
      store.commit(stage(store, version, "v" + version));
    }
  }

  @ParameterizedTest
  @EnumSource
  void filesAppearAtCommitAndNotBefore(StoreUnderTest kind) throws Exception {
    CheckpointStore store = open(kind);
    StagedFiles files = stage(store, 7, "seven");
    assertTrue(
        StoreUnderTest.files(root).keySet().stream()
            .allMatch(file -> file.startsWith("policy/.staging/v000007")),
        () -> "files are visible before the commit of " + files);
    assertEquals(0, store.latestVersion("policy"));
    assertEquals(List.of(), store.versions("policy"));
    assertEquals(store.uri("policy", 7), files.finalUri());
    assertTrue(files.finalUri().endsWith("/policy/v000007"), files.finalUri());
    assertEquals(
        TestCheckpoint.sha256(TestCheckpoint.files("seven").get("millrace.json")),
        files.manifestSha256());

    // Another process commits.
    CheckpointStore copy = InstantiationUtil.clone(store);
    copy.commit(files);
    assertEquals(StoreUnderTest.published("policy/v000007", "seven"), StoreUnderTest.files(root));
    assertEquals(7, store.latestVersion("policy"));

    store.commit(files); // A repeated commit changes nothing.
    assertEquals(StoreUnderTest.published("policy/v000007", "seven"), StoreUnderTest.files(root));
  }

  @ParameterizedTest
  @EnumSource
  void theSameContentMayBeStagedAndCommittedAgain(StoreUnderTest kind) throws IOException {
    CheckpointStore store = open(kind);
    stage(store, 1, "one");
    store.commit(stage(store, 1, "one"));
    store.commit(stage(store, 1, "one"));
    assertEquals(StoreUnderTest.published("policy/v000001", "one"), StoreUnderTest.files(root));
  }

  @ParameterizedTest
  @EnumSource
  void aPublishedVersionIsNeverReplaced(StoreUnderTest kind) throws IOException {
    CheckpointStore store = open(kind);
    store.commit(stage(store, 1, "first"));
    StagedFiles other = stage(store, 1, "other");
    IOException e = assertThrows(IOException.class, () -> store.commit(other));
    assertTrue(e.getMessage().contains("already published with other content"), e.getMessage());
    Map<String, String> files = StoreUnderTest.files(root);
    files.keySet().removeIf(file -> file.startsWith("policy/.staging"));
    assertEquals(StoreUnderTest.published("policy/v000001", "first"), files);
  }

  @ParameterizedTest
  @EnumSource
  void aFailedWriterLeavesNothing(StoreUnderTest kind) throws IOException {
    CheckpointStore store = open(kind);
    IOException full =
        assertThrows(
            IOException.class,
            () ->
                store.stage(
                    "policy",
                    1,
                    directory -> {
                      TestCheckpoint.write(directory, "half");
                      throw new IOException("disk full");
                    }));
    assertEquals("disk full", full.getMessage());
    IOException e =
        assertThrows(IOException.class, () -> store.stage("policy", 1, directory -> {}));
    assertTrue(e.getMessage().contains("needs a manifest"), e.getMessage());
    assertEquals(Map.of(), StoreUnderTest.files(root));
    StagedFiles gone = new StagedFiles("policy", 1, root + "/policy/.staging/v000001-x", "", "00");
    IOException neither = assertThrows(IOException.class, () -> store.commit(gone));
    assertTrue(neither.getMessage().contains("neither staged nor published"), neither.getMessage());
  }

  @ParameterizedTest
  @EnumSource
  void retiredVersionsAreDeletedAndReportedAsRetired(StoreUnderTest kind) throws IOException {
    CheckpointStore store = open(kind);
    publish(store, 1, 2);
    StagedFiles three = stage(store, 3, "v3");
    store.commit(three);
    publish(store, 4, 12);
    Retention retention =
        new Retention(1, 0, Duration.ZERO, List.of("", store.uri("policy", 4), "/not/here"));
    assertEquals(
        List.of(2L, 3L),
        new Retirement(store, retention, Clock.systemUTC()).retire("policy", Long.MAX_VALUE));
    Map<String, String> remaining = new TreeMap<>();
    remaining.putAll(StoreUnderTest.published("policy/v000001", "v1"));
    remaining.putAll(StoreUnderTest.published("policy/v000004", "v4"));
    remaining.putAll(StoreUnderTest.published("policy/v000012", "v12"));
    assertEquals(remaining, StoreUnderTest.files(root));
    assertEquals(List.of(1L, 4L, 12L), reopen().versions("policy"));

    assertTrue(CheckpointStore.isRetired(store.uri("policy", 3)));
    assertFalse(CheckpointStore.isRetired(store.uri("policy", 4)), "pinned");
    assertFalse(CheckpointStore.isRetired(store.uri("policy", 12)), "the newest");
    assertFalse(CheckpointStore.isRetired(store.uri("policy", 13)), "not published yet");
    assertFalse(CheckpointStore.isRetired(store.uri("other", 1)), "no such model");
    assertFalse(CheckpointStore.isRetired(root), "not a version");
    // A job that resumes from an old savepoint commits a version that was retired since.
    store.commit(three);
    assertEquals(remaining, StoreUnderTest.files(root));
  }

  @ParameterizedTest
  @EnumSource
  void aVersionStaysForTheGracePeriodAfterItWasReplaced(StoreUnderTest kind) throws IOException {
    CheckpointStore store = open(kind);
    publish(store, 1, 2, 3);
    Retention anHour = new Retention(1, 0, Duration.ofHours(1), List.of());
    Clock written = Clock.fixed(store.writtenAt("policy", 3), Clock.systemUTC().getZone());
    assertEquals(List.of(), new Retirement(store, anHour, written).retire("policy", 9));
    assertEquals(
        List.of(2L),
        new Retirement(store, anHour, Clock.offset(written, Duration.ofHours(1)))
            .retire("policy", 9));
  }

  @ParameterizedTest
  @EnumSource
  void modelsDoNotSeeEachOther(StoreUnderTest kind) throws IOException {
    CheckpointStore store = open(kind);
    publish(store, 1, 2);
    store.commit(store.stage("policy-b", 5, d -> TestCheckpoint.write(d, "b")));
    assertEquals(2, store.latestVersion("policy"));
    assertEquals(5, store.latestVersion("policy-b"));
    for (String name : new String[] {"", "..", "a/b", ".hidden", "a b"}) {
      assertThrows(IllegalArgumentException.class, () -> store.uri(name, 1), name);
    }
    assertThrows(IllegalArgumentException.class, () -> store.uri("policy", -1));
  }
}

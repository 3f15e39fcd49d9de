package io.millrace.connectors.checkpoint.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.checkpoint.store.InMemoryStore.Fault;
import io.millrace.schemas.Sha256;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** A remote store whose requests fail at any point. */
class RemoteStoreTest {
  @TempDir Path temporary;

  private String root;
  private InMemoryStore memory;
  private CheckpointStore store;

  @BeforeEach
  void open() {
    open(StoreUnderTest.OBJECTS);
  }

  private void open(StoreUnderTest kind) {
    root = kind.root(temporary);
    memory = InMemoryStore.of(root);
    memory.observe(RemoteStoreTest::requireWholeVersions);
    store = new CheckpointStore(root, temporary.resolve("scratch").toString());
  }

  /** Every file that a visible manifest lists exists with the listed content. */
  private static void requireWholeVersions(SortedMap<String, byte[]> objects) {
    objects.forEach(
        (key, manifest) -> {
          if (key.endsWith("/millrace.json") && !key.contains("/.staging/")) {
            String directory = key.substring(0, key.lastIndexOf('/') + 1);
            try {
              for (PublishedFiles.ListedFile file : PublishedFiles.listed(manifest, key)) {
                byte[] content = objects.get(directory + file.name());
                if (content == null || !Sha256.of(content).equals(file.sha256())) {
                  throw new AssertionError(directory + file.name() + " differs from its manifest");
                }
              }
            } catch (IOException e) {
              throw new AssertionError("a partial manifest at " + key, e);
            }
          }
        });
  }

  private StagedFiles stage(long version, String word) throws IOException {
    return store.stage("policy", version, directory -> TestCheckpoint.write(directory, word));
  }

  private interface Step {
    void run() throws IOException;
  }

  /** Runs a step until it succeeds, like a job that restarts. */
  private void retry(Step step) throws IOException {
    for (int attempt = 0; ; attempt++) {
      try {
        step.run();
        return;
      } catch (IOException e) {
        assertTrue(attempt < 3, "it never succeeds");
        memory.mend();
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "OBJECTS, CRASH_BEFORE",
    "OBJECTS, CRASH_AFTER",
    "OBJECTS, ERROR_BEFORE",
    "OBJECTS, ERROR_AFTER",
    "DIRECTORIES, CRASH_BEFORE",
    "DIRECTORIES, CRASH_AFTER",
    "DIRECTORIES, ERROR_BEFORE",
    "DIRECTORIES, ERROR_AFTER"
  })
  void aRetryRepairsTheFailureOfAnyRequest(StoreUnderTest kind, Fault fault) throws IOException {
    int request = 0;
    boolean failed;
    do {
      open(kind);
      store.commit(stage(1, "one"));
      store.commit(stage(2, "two"));
      memory.fail(request, fault);
      StagedFiles[] three = new StagedFiles[1];
      retry(() -> three[0] = stage(3, "three"));
      retry(() -> store.commit(three[0]));
      retry(() -> store.commit(three[0]));
      retry(
          () -> {
            // Like the retirement, which lists the versions first.
            if (store.versions("policy").contains(2L)) {
              store.retire("policy", 2);
            }
            store.sweep("policy");
          });
      failed = memory.mend();
      // The next version's commit deletes the remains of failed attempts.
      store.commit(stage(4, "four"));
      store.sweep("policy");
      Map<String, String> expected = new TreeMap<>();
      expected.putAll(StoreUnderTest.published("policy/v000001", "one"));
      expected.putAll(StoreUnderTest.published("policy/v000003", "three"));
      expected.putAll(StoreUnderTest.published("policy/v000004", "four"));
      assertEquals(expected, StoreUnderTest.files(root), "request " + request);
      assertEquals(List.of(1L, 3L, 4L), store.versions("policy"));
      request++;
    } while (failed);
    assertTrue(request > 20, "only " + request + " requests");
  }

  @ParameterizedTest
  @EnumSource
  void anotherAttemptReplacesAPartialCommit(Fault fault) throws IOException {
    int request = 0;
    boolean failed;
    do {
      open(StoreUnderTest.OBJECTS);
      StagedFiles first =
          store.stage(
              "policy",
              1,
              directory -> {
                // The other attempt does not have this file.
                Files.writeString(directory.resolve("more.json"), "1");
                Files.writeString(directory.resolve("model.safetensors"), "of other weights");
                Files.writeString(
                    directory.resolve("millrace.json"),
                    "{\"files\": {\"more.json\": {\"sha256\": \"%s\", \"size\": 1}, \"model.safetensors\": {\"sha256\": \"%s\", \"size\": 16}}}"
                        .formatted(
                            TestCheckpoint.sha256("1"), TestCheckpoint.sha256("of other weights")));
              });
      memory.fail(request, fault);
      boolean committed = true;
      try {
        store.commit(first);
      } catch (IOException e) {
        committed = false;
      }
      failed = memory.mend();
      if (!committed && store.latestVersion("policy") == 0) {
        // The job resumes from before that stage and learns other weights.
        store.commit(stage(1, "second"));
        assertEquals(
            StoreUnderTest.published("policy/v000001", "second"), StoreUnderTest.files(root));
      }
      request++;
    } while (failed);
    assertTrue(request > 8, "only " + request + " requests");
  }

  @ParameterizedTest
  @EnumSource
  void aDirectoryIsCreatedOnceThroughFailures(Fault fault) throws IOException {
    int request = 0;
    boolean failed;
    do {
      open(StoreUnderTest.OBJECTS);
      memory.fail(request, fault);
      retry(() -> store.create("initial/tiny", d -> TestCheckpoint.write(d, "tiny")));
      failed = memory.mend();
      // A later call does not change it.
      assertEquals(
          root + "/initial/tiny",
          store.create("initial/tiny", d -> TestCheckpoint.write(d, "another")));
      Map<String, String> files = StoreUnderTest.files(root);
      files.keySet().removeIf(file -> file.startsWith("initial/.staging"));
      assertEquals(StoreUnderTest.published("initial/tiny", "tiny"), files);
      request++;
    } while (failed);
    assertTrue(request > 8, "only " + request + " requests");
  }

  @ParameterizedTest
  @EnumSource
  void aFileIsPutCompletelyOrNotAtAll(Fault fault) throws IOException {
    store.put("bags/one.jsonl", file -> Files.writeString(file, "the first of its kind"));
    int request = 0;
    boolean failed;
    do {
      String text = "number " + request;
      memory.fail(request++, fault);
      retry(() -> store.put("bags/one.jsonl", file -> Files.writeString(file, text)));
      failed = memory.mend();
      try (InputStream in = CheckpointStore.read(root + "/bags/one.jsonl")) {
        assertEquals(text, new String(in.readAllBytes(), StandardCharsets.UTF_8));
      }
    } while (failed);
    assertTrue(request > 4, "only " + request + " requests");
  }

  @Test
  void anAbandonedAttemptDisturbsNoOther() throws IOException {
    StagedFiles mine = stage(1, "mine");
    // The abandoned attempt still runs.
    stage(1, "of the other");
    store.commit(mine);
    StagedFiles late = stage(1, "of the other");
    assertThrows(IOException.class, () -> store.commit(late));
    assertEquals(1, store.latestVersion("policy"));
    StagedFiles two = stage(2, "two");
    store.commit(mine);
    store.commit(two);
    Map<String, String> expected = StoreUnderTest.published("policy/v000001", "mine");
    expected.putAll(StoreUnderTest.published("policy/v000002", "two"));
    assertEquals(expected, StoreUnderTest.files(root));
  }

  @Test
  void withoutAManifestThereIsNoVersion() throws IOException {
    store.commit(stage(1, "one"));
    memory.observe(_ -> {});
    memory.put("models/all/policy/v000002/model.safetensors", "half");
    memory.put("models/all/policy/v000003.txt", "not a directory");
    assertEquals(List.of(1L), store.versions("policy"));
    assertEquals(1, store.latestVersion("policy"));
  }

  @Test
  void refusesAManifestThatDoesNotMatchTheFiles() {
    IOException unlisted =
        assertThrows(
            IOException.class,
            () ->
                store.stage(
                    "policy",
                    1,
                    directory -> {
                      TestCheckpoint.write(directory, "one");
                      Files.writeString(directory.resolve("more.bin"), "?");
                    }));
    assertTrue(unlisted.getMessage().contains("does not list more.bin"), unlisted.getMessage());
    IOException changed =
        assertThrows(
            IOException.class,
            () ->
                store.stage(
                    "policy",
                    1,
                    directory -> {
                      TestCheckpoint.write(directory, "one");
                      Files.writeString(directory.resolve("model.safetensors"), "others");
                    }));
    assertTrue(changed.getMessage().contains("has SHA-256"), changed.getMessage());
    assertEquals(List.of(), memory.keys());
  }

  @Test
  void refusesFilesThatWereStagedBelowAnotherRoot() throws IOException {
    StagedFiles files = stage(1, "one");
    CheckpointStore moved = new CheckpointStore(root + "/elsewhere");
    IOException e = assertThrows(IOException.class, () -> moved.commit(files));
    assertTrue(e.getMessage().contains("was checkpoints.directory changed?"), e.getMessage());
  }

  @Test
  void schemesDecideHowAVersionBecomesVisible() {
    assertEquals("LOCAL", publishing("/models"));
    assertEquals("LOCAL", publishing("models"));
    assertEquals("LOCAL", publishing("file:///models"));
    assertEquals("LOCAL", publishing("C:\\models"));
    assertEquals("ATOMIC_RENAME", publishing("hdfs://namenode:8020/models"));
    for (String uri : List.of("s3://b/x", "s3a://b/x", "S3://b/x", "gs://b/x", "abfs://c@a/x")) {
      assertEquals("MANIFEST_LAST", publishing(uri));
    }
    assertEquals("s3://b/x", new CheckpointStore("s3://b/x//").toString());
    assertThrows(IllegalArgumentException.class, () -> publishing("s3:b/x"));
    IllegalArgumentException none =
        assertThrows(
            IllegalArgumentException.class,
            () -> new CheckpointStore("s3://bucket/x").latestVersion("policy"));
    assertTrue(none.getMessage().contains("has no file system for it"), none.getMessage());
  }

  private static String publishing(String location) {
    return CheckpointLocation.of(location).publishing().name();
  }
}

package io.millrace.connectors.checkpoint.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointStoreTest {
  @TempDir Path root;

  private CheckpointStore store;

  @BeforeEach
  void open() {
    store = new CheckpointStore(root.toUri().toString());
  }

  @Test
  void filesAppearAtCommitAndNotBefore() throws IOException {
    StagedFiles files = store.stage("policy", 7, directory -> write(directory, "seven"));
    Path published = root.resolve("policy/v000007");
    assertFalse(Files.exists(published));
    assertEquals(store.uri("policy", 7), files.finalUri());

    store.commit(files);
    assertEquals("seven", Files.readString(published.resolve("millrace.json")));
    assertEquals("weights", Files.readString(published.resolve("sub/weights")));
    assertEquals(published, CheckpointStore.resolve(files.finalUri()));
    // SHA-256 of the five letters, from sha256sum.
    assertEquals(
        "3ba8d02b16fd2a01c1a8ba1a1f036d7ce386ed953696fa57331c2ac48a80b255", files.manifestSha256());

    store.commit(files); // A repeated commit changes nothing.
    assertEquals("seven", Files.readString(published.resolve("millrace.json")));
  }

  @Test
  void stagingAgainReplacesWhatWasStaged() throws IOException {
    StagedFiles first = store.stage("policy", 1, directory -> write(directory, "first"));
    StagedFiles second = store.stage("policy", 1, directory -> write(directory, "second"));
    IOException e = assertThrows(IOException.class, () -> store.commit(first));
    assertTrue(e.getMessage().contains("holds other content than was staged"), e.getMessage());
    store.commit(second);
    assertEquals("second", Files.readString(root.resolve("policy/v000001/millrace.json")));
  }

  @Test
  void aPublishedVersionIsNeverReplaced() throws IOException {
    store.commit(store.stage("policy", 1, directory -> write(directory, "first")));
    StagedFiles other = store.stage("policy", 1, directory -> write(directory, "other"));
    IOException e = assertThrows(IOException.class, () -> store.commit(other));
    assertTrue(e.getMessage().contains("already published with other content"), e.getMessage());
    assertEquals("first", Files.readString(root.resolve("policy/v000001/millrace.json")));
  }

  @Test
  void aFailedWriterLeavesNothing() throws IOException {
    assertThrows(
        IOException.class,
        () ->
            store.stage(
                "policy",
                1,
                directory -> {
                  write(directory, "half");
                  throw new IOException("disk full");
                }));
    IOException e =
        assertThrows(IOException.class, () -> store.stage("policy", 1, directory -> {}));
    assertTrue(e.getMessage().contains("needs a manifest"), e.getMessage());
    try (var staged = Files.list(root.resolve("policy/.staging"))) {
      assertEquals(0, staged.count());
    }
    StagedFiles gone = new StagedFiles("policy", 1, "", "", "00");
    IOException neither = assertThrows(IOException.class, () -> store.commit(gone));
    assertTrue(neither.getMessage().contains("neither staged nor published"), neither.getMessage());
  }

  @Test
  void versionsOfOneModelInOneStoreHaveAnOrder() {
    String two = store.uri("policy", 2);
    String ten = store.uri("policy", 10);
    assertTrue(CheckpointStore.isEarlier(two, ten));
    assertFalse(CheckpointStore.isEarlier(ten, two));
    assertFalse(CheckpointStore.isEarlier(two, two));
    // Other spellings of the same locations.
    assertTrue(CheckpointStore.isEarlier(root + "/policy/../policy/v2", ten));
    assertTrue(CheckpointStore.isEarlier("s3://bucket/policy/v000002", "s3://bucket/policy/v3/"));

    assertFalse(CheckpointStore.isEarlier(store.uri("other", 2), ten));
    assertFalse(CheckpointStore.isEarlier("s3://bucket/policy/v000002", ten));
    assertFalse(CheckpointStore.isEarlier("/models/chat", ten));
    assertFalse(CheckpointStore.isEarlier(two, "/models/chat"));
  }

  @Test
  void refusesNamesAndPlacesThatItCannotServe() {
    for (String name : new String[] {"", "..", "a/b", ".hidden", "a b"}) {
      assertThrows(IllegalArgumentException.class, () -> store.uri(name, 1), name);
    }
    assertThrows(IllegalArgumentException.class, () -> store.uri("policy", -1));

    IOException e =
        assertThrows(IOException.class, () -> CheckpointStore.resolve(store.uri("policy", 9)));
    assertTrue(e.getMessage().contains("no such checkpoint directory"), e.getMessage());
  }

  private static void write(Path directory, String manifest) throws IOException {
    Files.createDirectories(directory.resolve("sub"));
    Files.writeString(directory.resolve("sub/weights"), "weights");
    Files.writeString(directory.resolve(CheckpointStore.MANIFEST), manifest);
  }
}

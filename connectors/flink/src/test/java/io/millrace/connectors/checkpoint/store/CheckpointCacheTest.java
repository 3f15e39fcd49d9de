package io.millrace.connectors.checkpoint.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.checkpoint.store.InMemoryStore.Fault;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointCacheTest {
  /** The files with content in a checkpoint, including the manifest. */
  private static final int FILES = 3;

  @TempDir Path temporary;

  private Path directory;
  private CheckpointStore store;
  private InMemoryStore memory;
  private CheckpointCache cache;

  @BeforeEach
  void open() {
    directory = temporary.resolve("cache");
    String root = StoreUnderTest.OBJECTS.root(temporary);
    memory = InMemoryStore.of(root);
    store = new CheckpointStore(root, temporary.resolve("scratch").toString());
    cache = new CheckpointCache(directory.toString(), 1_000_000);
  }

  private StagedFiles publish(long version, String word) throws IOException {
    StagedFiles files = store.stage("policy", version, d -> TestCheckpoint.write(d, word));
    store.commit(files);
    return files;
  }

  private static void assertHolds(String word, LocalCheckpoint checkpoint) throws IOException {
    assertEquals(
        TestCheckpoint.files(word), StoreUnderTest.files(checkpoint.directory().toString()));
  }

  private List<String> entries() throws IOException {
    try (Stream<Path> list = Files.list(directory)) {
      return list.filter(Files::isDirectory).map(p -> p.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void aLocalCheckpointIsUsedInPlace() throws IOException {
    Path here = Files.createDirectories(temporary.resolve("here"));
    TestCheckpoint.write(here, "here");
    String digest = TestCheckpoint.sha256(TestCheckpoint.files("here").get("millrace.json"));
    for (String location : List.of(here.toString(), here.toUri().toString())) {
      try (LocalCheckpoint checkpoint = cache.open(location, digest)) {
        assertTrue(Files.isSameFile(here, checkpoint.directory()));
      }
    }
    assertThrows(IOException.class, () -> cache.open(here.toString(), "00"));
    assertThrows(IOException.class, () -> cache.open(temporary.resolve("no").toString()));
    assertFalse(Files.exists(directory));
  }

  @Test
  void aCheckpointIsCopiedOnceForManyReaders() throws Exception {
    StagedFiles one = publish(1, "one");
    int before = memory.reads();
    List<Callable<LocalCheckpoint>> readers = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      // Each task deserializes its own cache object.
      CheckpointCache own = new CheckpointCache(directory.toString(), 1_000_000);
      readers.add(() -> own.open(one.finalUri(), one.manifestSha256()));
    }
    try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
      for (Future<LocalCheckpoint> got : threads.invokeAll(readers)) {
        assertHolds("one", got.get());
        got.get().close();
      }
    }
    assertEquals(FILES, memory.reads() - before);
    assertEquals(List.of(one.manifestSha256()), entries());
    // Without a digest, the manifest is read to find the copy.
    try (LocalCheckpoint again = cache.open(one.finalUri())) {
      assertHolds("one", again);
    }
    assertEquals(FILES + 1, memory.reads() - before);
  }

  @Test
  void aPartialCopyIsNeverUsed() throws IOException {
    StagedFiles one = publish(1, "one");
    for (Fault fault : Fault.values()) {
      for (int request = 0; ; request++) {
        memory.fail(request, fault);
        CheckpointCache fresh = new CheckpointCache(directory.toString(), 0);
        try (LocalCheckpoint got = fresh.open(one.finalUri(), one.manifestSha256())) {
          assertHolds("one", got);
        } catch (IOException e) {
          assertFalse(e instanceof UnusableCheckpointException, e.toString());
        }
        assertEquals(List.of(), entries());
        if (!memory.mend()) {
          assertTrue(request >= FILES, "only " + request + " requests");
          break;
        }
      }
    }
  }

  @Test
  void aCheckpointThatDiffersFromItsAnnouncementIsRefused() throws IOException {
    StagedFiles one = publish(1, "one");
    assertUnusable("holds another checkpoint", () -> cache.open(one.finalUri(), "00"));
    assertUnusable("is no published checkpoint", () -> cache.open(store.uri("policy", 2), "00"));
    assertUnusable("no such checkpoint directory", () -> cache.open(store.uri("policy", 2)));
    memory.put("models/all/policy/v000001/model.safetensors", "others");
    assertUnusable("has SHA-256", () -> cache.open(one.finalUri(), one.manifestSha256()));
    assertUnusable(
        "has 6 bytes, where its manifest says 14 bytes",
        () -> cache.openDescription(one.finalUri(), one.manifestSha256()));
    assertEquals(List.of(), entries());
  }

  private static void assertUnusable(String expected, Callable<?> open) {
    UnusableCheckpointException e = assertThrows(UnusableCheckpointException.class, open::call);
    assertTrue(e.getMessage().contains(expected), e.getMessage());
  }

  @Test
  void aDescriptionIsCopiedWithoutTheWeights() throws IOException {
    StagedFiles one = publish(1, "one");
    int before = memory.reads();
    for (int i = 0; i < 2; i++) {
      try (LocalCheckpoint description =
          cache.openDescription(one.finalUri(), one.manifestSha256())) {
        Map<String, String> expected = TestCheckpoint.files("one");
        expected.remove("model.safetensors");
        assertEquals(expected, StoreUnderTest.files(description.directory().toString()));
      }
    }
    assertEquals(FILES - 1, memory.reads() - before);
  }

  @Test
  void aDirectoryOfAnotherToolNeedsNoManifest() throws IOException {
    memory.put("models/llama/config.json", "{}");
    memory.put("models/llama/model.safetensors", "weights");
    memory.put("models/llama/pytorch_model.bin", "never opened");
    memory.put("models/llama/.gitattributes", "");
    String uri = store.toString().replace("/models/all", "/models/llama");
    for (int i = 0; i < 2; i++) {
      try (LocalCheckpoint checkpoint = cache.open(uri + "/")) {
        assertEquals(
            Map.of("config.json", "{}", "model.safetensors", "weights"),
            StoreUnderTest.files(checkpoint.directory().toString()));
      }
    }
    assertEquals(2, memory.reads());
    memory.touch("models/llama/config.json", 5_000);
    cache.open(uri).close();
    assertEquals(4, memory.reads(), "a changed directory is copied again");
  }

  @Test
  void theLeastRecentlyUsedCopiesAreDeleted() throws IOException {
    long size = TestCheckpoint.files("word").values().stream().mapToLong(String::length).sum();
    CheckpointCache two = new CheckpointCache(directory.toString(), 2 * size);
    List<StagedFiles> published = new ArrayList<>();
    for (String word : List.of("aaaa", "bbbb", "cccc")) {
      published.add(publish(published.size() + 1, word));
    }
    try (LocalCheckpoint a = open(two, published.get(0));
        LocalCheckpoint b = open(two, published.get(1));
        LocalCheckpoint c = open(two, published.get(2))) {
      assertEquals(3, entries().size(), "a copy in use stays");
      assertHolds("aaaa", a);
      assertHolds("bbbb", b);
      assertHolds("cccc", c);
      age(a.directory(), 1);
      age(c.directory(), 2);
      age(b.directory(), 3);
    }
    assertEquals(digests(published.get(1), published.get(2)), entries());
    // A second use makes the copy the most recent one.
    open(two, published.get(2)).close();
    open(two, published.get(0)).close();
    assertEquals(digests(published.get(0), published.get(2)), entries());
    open(new CheckpointCache(directory.toString(), 0), published.get(0)).close();
    assertEquals(List.of(), entries());
  }

  private static void age(Path entry, long second) throws IOException {
    Files.setLastModifiedTime(entry, FileTime.fromMillis(second * 1_000));
  }

  private static List<String> digests(StagedFiles... files) {
    return Stream.of(files).map(StagedFiles::manifestSha256).sorted().toList();
  }

  private static LocalCheckpoint open(CheckpointCache cache, StagedFiles files) throws IOException {
    return cache.open(files.finalUri(), files.manifestSha256());
  }

  @Test
  void copiesThatAnotherProcessMayUseStay() throws Exception {
    CheckpointCache none = new CheckpointCache(directory.toString(), 0);
    StagedFiles one = publish(1, "one");
    Files.createDirectories(directory.resolve(".work-of-the-dead"));
    Process other = lockElsewhere();
    try {
      open(none, one).close();
      assertEquals(List.of(".work-of-the-dead", one.manifestSha256()), entries());
    } finally {
      other.getOutputStream().close();
      other.waitFor();
    }
    open(none, one).close();
    assertEquals(List.of(), entries());
  }

  /** Starts another JVM that holds the shared lock until its input ends. */
  private Process lockElsewhere() throws IOException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                Holder.class.getName(),
                directory.resolve(".lock").toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    assertEquals('!', process.getInputStream().read());
    return process;
  }

  /** Holds a shared lock. */
  static final class Holder {
    private Holder() {}

    public static void main(String[] args) throws IOException {
      try (FileChannel channel =
              FileChannel.open(
                  Path.of(args[0]),
                  StandardOpenOption.CREATE,
                  StandardOpenOption.READ,
                  StandardOpenOption.WRITE);
          FileLock lock = channel.lock(0, Long.MAX_VALUE, true)) {
        System.out.print(lock.isShared() ? "!" : "?");
        System.out.flush();
        while (System.in.read() >= 0) {
          // The test closes the input.
        }
      }
    }
  }
}

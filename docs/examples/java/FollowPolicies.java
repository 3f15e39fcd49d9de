import io.millrace.connectors.checkpoint.PolicyCheckpoints;
import io.millrace.connectors.checkpoint.PolicyVersion;
import io.millrace.connectors.kafka.KafkaSettings;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;

/**
 * Loads each new policy version while the one before is served.
 *
 * <pre>
 * java -cp 'connectors/client/target/distribution/lib/*' docs/examples/java/FollowPolicies.java \
 *   localhost:9092 /var/lib/serving/policies [promoted]
 * </pre>
 *
 * <p>With {@code promoted} it serves only the versions that the job evaluation promotes.
 */
public final class FollowPolicies {
  /** A policy in memory. Replace it by your own serving engine. */
  private record Model(long version, String config, List<MemorySegment> weights, Arena memory) {
    static Model load(PolicyVersion policy) {
      // A Hugging Face directory: config.json, tokenizer.json, weights in *.safetensors.
      Arena memory = Arena.ofShared();
      try (Stream<Path> files = Files.list(policy.directory())) {
        List<MemorySegment> weights = new ArrayList<>();
        for (Path file : files.filter(f -> f.toString().endsWith(".safetensors")).toList()) {
          try (FileChannel channel = FileChannel.open(file)) {
            weights.add(channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), memory));
          }
        }
        String config = Files.readString(policy.directory().resolve("config.json"));
        return new Model(policy.version(), config, List.copyOf(weights), memory);
      } catch (IOException e) {
        memory.close();
        throw new UncheckedIOException(e);
      }
    }
  }

  private static final AtomicReference<Model> SERVED = new AtomicReference<>();

  /** Runs in one thread, for one version after the other. The files are complete and verified. */
  private static void serve(PolicyVersion policy) {
    Model model = Model.load(policy);
    Model before = SERVED.getAndSet(model);
    if (before != null) {
      before.memory().close(); // A real engine first finishes the requests of that version.
    }
    System.out.printf(
        "serving version %d from %s: %d bytes of weights, metrics %s%n",
        model.version(),
        policy.directory(),
        model.weights().stream().mapToLong(MemorySegment::byteSize).sum(),
        policy.announcement().getMetrics());
  }

  public static void main(String[] args) throws InterruptedException {
    PolicyCheckpoints.Builder builder =
        PolicyCheckpoints.builder()
            .kafka(KafkaSettings.of(args[0])) // TLS and passwords: its other constructors
            .model("policy") // model.name of the jobs
            .directory(Path.of(args[1])) // gets one directory a version
            .keep(2); // the version before stays while the new one is loaded
    if (args.length > 2 && args[2].equals("promoted")) {
      builder.promotedOnly();
    }
    try (PolicyCheckpoints _ = builder.watch(FollowPolicies::serve)) {
      new CountDownLatch(1).await(); // until the process is stopped
    }
  }

  private FollowPolicies() {}
}

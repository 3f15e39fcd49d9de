package io.millrace.serve.sampling;

import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SampledToken;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A served model: an engine with one version, or with two while the responses of the earlier one
 * end. Any thread submits requests; the thread of the {@link SamplingLoop} samples.
 */
public final class Lane implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(Lane.class);

  /** Weight of the newest response in the mean time between two responses. */
  private static final double NEWEST = 0.1;

  private final String id;
  private final LaneSettings settings;
  private final SamplingLoop loop;
  private final ModelLoader loader;
  private final AtomicInteger inFlight = new AtomicInteger();
  private final LongAdder sampledTokens = new LongAdder();
  private final LongAdder promptTokens = new LongAdder();
  private volatile TextCodec codec;
  private volatile String name = "";
  private volatile long version = -1;
  private volatile double secondsAResponse = 0.1;
  private volatile long reusedTokens;
  private volatile long preemptions;
  private final LongAdder failures = new LongAdder();
  private volatile int running;

  // The sampling thread's own.
  private final IdentityHashMap<SamplingRequest, Generation> generations = new IdentityHashMap<>();
  private SamplingEngine engine;
  private Swap pending;
  private long lastEnd = System.nanoTime();
  private double meanSeconds = 0.1;

  /** A version that waits for its turn. */
  private record Swap(CheckpointDirectory checkpoint, long version, CompletableFuture<Void> done) {}

  Lane(String id, LaneSettings settings, SamplingLoop loop, ModelLoader loader) {
    this.id = id;
    this.settings = settings;
    this.loop = loop;
    this.loader = loader;
  }

  /** The name by which clients ask for this model. */
  public String id() {
    return id;
  }

  /** Tokenizer and template; empty before the first version is loaded. */
  public Optional<TextCodec> codec() {
    return Optional.ofNullable(codec);
  }

  /** Name of the published model; for a directory of other origin that of the directory. */
  public String name() {
    return name;
  }

  /** Version with which requests begin now; 0 for a directory of other origin, −1 for none. */
  public long version() {
    return version;
  }

  /** Name and number of a version of this model, such as {@code policy-v12}. */
  public String fingerprint(long ofVersion) {
    return ofVersion == 0 ? name : name + "-v" + ofVersion;
  }

  /** Most tokens of a response. */
  public int maxTokens() {
    return settings.maxTokens();
  }

  /** Responses that wait or are sampled. */
  public int inFlight() {
    return inFlight.get();
  }

  /** Responses that are sampled. */
  public int running() {
    return running;
  }

  /** Tokens sampled so far. */
  public long sampledTokens() {
    return sampledTokens.sum();
  }

  /** Tokens of the prompts so far. */
  public long promptTokens() {
    return promptTokens.sum();
  }

  /** Prompt tokens whose keys and values came from the prefix cache. */
  public long reusedTokens() {
    return reusedTokens;
  }

  /** How often a response lost its place in the KV cache to an older one. */
  public long preemptions() {
    return preemptions;
  }

  /** Steps that threw an exception. */
  public long failures() {
    return failures.sum();
  }

  /**
   * Begins the responses to some prompts, all of one version.
   *
   * @param prompts token ids of each prompt
   * @param seeds a seed for each response to each prompt
   * @param ranks number of most probable tokens that come with each token
   * @param byToken whether the caller waits for each token, or for whole responses
   * @return one for each prompt
   * @throws BusyException if too many requests wait
   * @throws IllegalArgumentException if no state of the engine could serve a prompt
   */
  public List<Generation> submit(
      List<int[]> prompts,
      List<long[]> seeds,
      SamplingOptions options,
      int ranks,
      boolean byToken) {
    int most = settings.batchSize() + settings.queueSize();
    int samples = seeds.stream().mapToInt(each -> each.length).sum();
    int before = inFlight.getAndAdd(samples);
    if (before + samples > most) {
      inFlight.addAndGet(-samples);
      if (samples > most) {
        throw new IllegalArgumentException(
            "the request asks for %d responses, and %s takes %d at once; ask for fewer"
                .formatted(samples, id, most));
      }
      throw new BusyException(
          "%s has %d responses in flight, of at most %d; try again later"
              .formatted(id, before, most),
          Duration.ofSeconds(Math.max(1, Math.round(before * secondsAResponse))));
    }
    List<Generation> generations = new ArrayList<>();
    for (int i = 0; i < prompts.size(); i++) {
      promptTokens.add(prompts.get(i).length);
      generations.add(
          new Generation(
              this, new SamplingRequest(prompts.get(i), seeds.get(i), options), byToken));
    }
    loop.execute(() -> begin(generations, ranks));
    return generations;
  }

  private void begin(List<Generation> begun, int ranks) {
    begun.forEach(generation -> generations.put(generation.request(), generation));
    try {
      if (!engine.offer(begun.stream().map(Generation::request).toList(), ranks)) {
        throw new IllegalStateException("the engine's queue is shorter than its server's");
      }
    } catch (RuntimeException e) {
      begun.forEach(generation -> fail(generation, e));
    }
  }

  void cancel(Generation generation, int sample) {
    loop.execute(
        () -> {
          if (engine.cancel(generation.request(), sample)) {
            inFlight.decrementAndGet();
            if (generation.cancelled(sample)) {
              generations.remove(generation.request());
            }
          }
        });
  }

  /**
   * Loads a version, and returns when new requests begin with it. Requests that have begun continue
   * with their own version.
   *
   * @param checkpoint closed by the caller
   * @param origin name for a checkpoint without manifest
   * @throws IllegalArgumentException if the version does not fit those before
   */
  public void load(CheckpointDirectory checkpoint, String origin)
      throws IOException, InterruptedException {
    Tokenizer tokenizer = Tokenizer.load(checkpoint.path(), settings.context(checkpoint.config()));
    boolean keep = false;
    try {
      long number = checkpoint.manifest().map(CheckpointManifest::version).orElse(0L);
      if (codec != null) {
        Optional<String> difference = codec.difference(tokenizer, checkpoint.config());
        if (difference.isPresent()) {
          throw new IllegalArgumentException(
              "version %d of %s cannot replace version %d while it is served: %s; restart the server"
                  .formatted(number, id, version, difference.get()));
        }
      }
      TextCodec next =
          codec != null ? codec : TextCodec.of(tokenizer, checkpoint.config(), settings);
      // Loads the weights ahead, beside sampling; the sampling thread then only shares them.
      try (Backend ahead = loop.newBackend();
          LanguageModel _ = loader.load(ahead, checkpoint)) {
        Swap swap = new Swap(checkpoint, number, new CompletableFuture<>());
        loop.execute(() -> pending = swap);
        swap.done.get();
      } catch (ExecutionException e) {
        throw new IOException(
            "version %d of %s: %s".formatted(number, id, e.getCause().getMessage()), e.getCause());
      }
      name = checkpoint.manifest().map(CheckpointManifest::name).orElse(origin);
      version = number;
      keep = codec == null;
      codec = next;
    } finally {
      if (!keep) {
        tokenizer.close();
      }
    }
  }

  boolean isBusy() {
    return pending != null || (engine != null && !engine.isIdle());
  }

  /** Changes the version if one waits, and samples a token of each response. */
  void step() {
    if (pending != null && (engine == null || !engine.isChangingPolicy())) {
      swap();
    }
    if (engine == null || engine.isIdle()) {
      running = 0;
      return;
    }
    try {
      for (SampledResponse response : engine.step()) {
        end(response);
      }
      running = engine.running();
      reusedTokens = engine.reusedTokens();
      preemptions = engine.preemptions();
    } catch (RuntimeException | OutOfMemoryError e) {
      failures.increment();
      LOG.error("A step of {} failed; its {} requests fail", id, generations.size(), e);
      List.copyOf(generations.values()).forEach(generation -> fail(generation, e));
    }
  }

  private void swap() {
    Swap swap = pending;
    pending = null;
    try {
      LanguageModel model = loader.load(loop.backend(), swap.checkpoint);
      ServedVersion next = new ServedVersion(model, swap.version);
      if (engine == null) {
        engine = new SamplingEngine(next, settings.engine(model.config()));
        engine.listen(this::heard);
      } else {
        engine.use(next);
      }
      LOG.info("{} serves version {} now", id, swap.version);
      swap.done.complete(null);
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      swap.done.completeExceptionally(e);
    }
  }

  private void heard(SamplingRequest request, int sample, SampledToken token) {
    sampledTokens.increment();
    generations.get(request).add(sample, token);
  }

  private void end(SampledResponse response) {
    long now = System.nanoTime();
    meanSeconds += NEWEST * ((now - lastEnd) / 1e9 - meanSeconds);
    secondsAResponse = meanSeconds;
    lastEnd = now;
    inFlight.decrementAndGet();
    Generation generation = generations.get(response.request());
    if (generation.end(response)) {
      generations.remove(response.request());
    }
  }

  private void fail(Generation generation, Throwable cause) {
    generations.remove(generation.request());
    int unfinished = generation.unfinished();
    for (int i = 0; i < generation.request().samples(); i++) {
      engine.cancel(generation.request(), i);
    }
    inFlight.addAndGet(-unfinished);
    generation.fail(cause);
  }

  /** On the sampling thread, at its end. */
  @Override
  public void close() {
    for (Generation generation : new ArrayList<>(generations.values())) {
      generation.fail(new IllegalStateException("the server has stopped"));
    }
    generations.clear();
    if (pending != null) {
      pending.done.completeExceptionally(new IllegalStateException("the server has stopped"));
    }
    if (engine != null) {
      engine.close();
    }
    if (codec != null) {
      codec.tokenizer().close();
    }
  }
}

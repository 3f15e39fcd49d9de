package io.millrace.serve.completion;

import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.serve.api.ApiException;
import io.millrace.serve.api.CompletionRequest;
import io.millrace.serve.api.SamplingParameters;
import io.millrace.serve.sampling.BusyException;
import io.millrace.serve.sampling.Generation;
import io.millrace.serve.sampling.Lane;
import io.millrace.serve.sampling.TextCodec;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;

/** The responses to one request. For one thread. */
public final class Completion {

  private static final SecureRandom RANDOM = new SecureRandom();

  /** How often a waiting thread looks whether its client is still there. */
  private static final long LOOK_NANOS = Duration.ofMillis(500).toNanos();

  private final String id;
  private final Instant created;
  private final long deadline;
  private final Duration timeout;
  private final Lane lane;
  private final TextCodec codec;
  private final CompletionRequest request;
  private final List<Generation> generations;
  private final List<Choice> choices = new ArrayList<>();
  private final int promptTokens;
  private long lastLook = System.nanoTime();

  private Completion(
      CompletionRequest request, Lane lane, TextCodec codec, Instant now, Duration timeout) {
    byte[] random = new byte[10];
    RANDOM.nextBytes(random);
    this.id = CompletionIds.of(request.chat(), now, random);
    this.created = now;
    this.timeout = timeout;
    this.deadline = System.nanoTime() + timeout.toNanos();
    this.lane = lane;
    this.codec = codec;
    this.request = request;
    SamplingParameters sampling = request.sampling();
    List<int[]> prompts = Prompts.tokens(request, codec);
    int maxTokens = Prompts.maxTokens(prompts, sampling, codec, lane);
    List<long[]> seeds = new ArrayList<>();
    for (int p = 0; p < prompts.size(); p++) {
      seeds.add(seeds(sampling, p));
    }
    SamplingOptions options =
        new SamplingOptions(
            maxTokens,
            sampling.temperature(),
            sampling.topP(),
            sampling.ignoreEos() ? new int[0] : codec.stopTokens());
    boolean byToken = sampling.stream() || !sampling.stop().isEmpty();
    try {
      this.generations = lane.submit(prompts, seeds, options, sampling.ranks(), byToken);
    } catch (BusyException e) {
      throw ApiException.busy(e.retryAfter(), e.getMessage());
    } catch (IllegalArgumentException e) {
      throw ApiException.badValue("n", e.getMessage());
    }
    for (int p = 0; p < prompts.size(); p++) {
      for (int k = 0; k < sampling.n(); k++) {
        choices.add(
            new Choice(
                choices.size(),
                generations.get(p),
                k,
                seeds.get(p)[k],
                prompts.get(p),
                codec,
                request.chat(),
                sampling.stop()));
      }
    }
    this.promptTokens = prompts.stream().mapToInt(prompt -> prompt.length).sum();
  }

  /**
   * Begins the responses to a request.
   *
   * @param timeout within which all responses must have ended
   * @throws ApiException if the request cannot be taken
   */
  public static Completion begin(
      CompletionRequest request, Lane lane, Instant now, Duration timeout) {
    return new Completion(request, lane, lane.codec().orElseThrow(), now, timeout);
  }

  private static long[] seeds(SamplingParameters sampling, int prompt) {
    long[] seeds = new long[sampling.n()];
    for (int k = 0; k < seeds.length; k++) {
      seeds[k] =
          sampling.seed().isPresent()
              ? SamplingRequest.seed(sampling.seed().getAsLong(), prompt + "/" + k)
              : RANDOM.nextLong();
    }
    return seeds;
  }

  /**
   * Waits for the next parts of some responses.
   *
   * @param clientGone whether nobody waits for the response any more
   * @return empty when all responses have ended
   * @throws ApiException if sampling failed, or the time is over
   * @throws ClientGoneException if the client has gone
   */
  public List<Choice.Part> next(BooleanSupplier clientGone) throws InterruptedException {
    while (true) {
      if (isFinished()) {
        return List.of();
      }
      List<Choice.Part> parts = new ArrayList<>();
      boolean waits = true;
      for (int p = 0; p < generations.size(); p++) {
        if (isFinished(p)) {
          continue;
        }
        long left = deadline - System.nanoTime();
        parts.addAll(news(p, waits ? Math.min(left, LOOK_NANOS) : 0));
        waits = false;
      }
      if (System.nanoTime() - lastLook >= LOOK_NANOS) {
        lastLook = System.nanoTime();
        if (clientGone.getAsBoolean()) {
          throw new ClientGoneException();
        }
      }
      if (!parts.isEmpty()) {
        return parts;
      }
      if (System.nanoTime() >= deadline) {
        throw ApiException.deadline(
            "the response did not end within %s s (serve.deadline); ask for fewer tokens, or try again when the server is less busy"
                .formatted(timeout.toSeconds()));
      }
    }
  }

  private List<Choice.Part> news(int p, long nanos) throws InterruptedException {
    List<Choice.Part> parts = new ArrayList<>();
    int n = request.sampling().n();
    try {
      for (Generation.News news : generations.get(p).await(nanos)) {
        Choice choice = choices.get(p * n + news.sample());
        if (choice.finish() == null) {
          parts.add(choice.add(news));
        }
      }
    } catch (IllegalStateException e) {
      throw ApiException.failed(e.getMessage());
    }
    return parts;
  }

  private boolean isFinished(int p) {
    int n = request.sampling().n();
    return choices.subList(p * n, (p + 1) * n).stream().allMatch(each -> each.finish() != null);
  }

  /** Whether all responses have ended. */
  public boolean isFinished() {
    return choices.stream().allMatch(each -> each.finish() != null);
  }

  /** Ends all responses that are not finished, and frees their places. */
  public void cancel() {
    if (!isFinished()) {
      generations.forEach(Generation::cancel);
    }
  }

  /** Version of all responses; −1 before the first token. */
  public long version() {
    return generations.getFirst().version();
  }

  /** Name and number of the version. */
  public String fingerprint() {
    return lane.fingerprint(version());
  }

  public String id() {
    return id;
  }

  public Instant created() {
    return created;
  }

  public Lane lane() {
    return lane;
  }

  public TextCodec codec() {
    return codec;
  }

  public CompletionRequest request() {
    return request;
  }

  public List<Choice> choices() {
    return List.copyOf(choices);
  }

  /** Tokens of all prompts. */
  public int promptTokens() {
    return promptTokens;
  }

  /** Tokens of all responses. */
  public int responseTokens() {
    return choices.stream().mapToInt(each -> each.tokens().size()).sum();
  }
}

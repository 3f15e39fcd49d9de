package io.millrace.model.llama;

import io.millrace.model.tensor.KvCache;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Samples responses for many prompts at once, with a KV cache. Each response draws from a random
 * stream of its own, seeded by the run's seed and the response's id, whatever else is in the batch.
 */
public final class Generator {

  private final LanguageModel model;
  private final SamplingOptions options;
  private final int[] stopTokens;

  public Generator(LanguageModel model, SamplingOptions options, int... stopTokens) {
    this.model = model;
    this.options = options;
    this.stopTokens = stopTokens.clone();
  }

  /** A prompt's tokens and the seed of its response's random stream. */
  public record Request(int[] prompt, long seed) {

    public Request {
      if (prompt.length == 0) {
        throw new IllegalArgumentException("a prompt needs at least one token");
      }
    }
  }

  /**
   * A sampled response.
   *
   * @param tokens the stop token included
   * @param logProbs of each token, in nats, at the sampling temperature
   * @param stopped whether it ended at a stop token rather than at the length limit
   */
  public record Response(int[] tokens, float[] logProbs, boolean stopped) {}

  /** The seed of a response's random stream: FNV-1a of its id, stirred with the run's seed. */
  public static long seed(long runSeed, String responseId) {
    long hash = 0xcbf29ce484222325L;
    for (byte b : responseId.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
    }
    return new SplittableRandom(runSeed ^ hash).nextLong();
  }

  /** One response a request, in order. */
  public List<Response> generate(List<Request> requests) {
    if (requests.isEmpty()) {
      return List.of();
    }
    int longest = requests.stream().mapToInt(request -> request.prompt().length).max().orElse(0);
    int capacity = longest + options.maxTokens();
    if (capacity > model.config().maxPositions()) {
      throw new IllegalArgumentException(
          "a prompt of %d tokens and a response of %d exceed the model's %d positions"
              .formatted(longest, options.maxTokens(), model.config().maxPositions()));
    }
    List<Slot> slots = new ArrayList<>();
    for (int i = 0; i < requests.size(); i++) {
      slots.add(new Slot(i, requests.get(i), options.maxTokens()));
    }
    TokenSampler sampler = new TokenSampler(options, model.config().vocabSize());
    try (KvCache cache = model.kvCache(requests.size(), capacity)) {
      List<Slot> active = slots;
      while (!active.isEmpty()) {
        step(active, cache, sampler);
        active = active.stream().filter(slot -> !slot.finished).toList();
      }
    }
    return slots.stream().map(Slot::response).toList();
  }

  private void step(List<Slot> active, KvCache cache, TokenSampler sampler) {
    float[] logits =
        model.nextLogits(
            active.stream().map(slot -> slot.pending).toList(),
            cache,
            active.stream().mapToInt(slot -> slot.index).toArray(),
            active.stream().mapToInt(slot -> slot.position).toArray());
    int vocab = model.config().vocabSize();
    for (int i = 0; i < active.size(); i++) {
      Slot slot = active.get(i);
      int token = sampler.sample(logits, i * vocab, slot.random);
      boolean stop = Arrays.stream(stopTokens).anyMatch(stopToken -> stopToken == token);
      slot.append(token, sampler.logProb(), stop);
    }
  }

  /** A response in the making. */
  private static final class Slot {
    final int index;
    final SplittableRandom random;
    final int[] tokens;
    final float[] logProbs;
    int[] pending;
    int position;
    int length;
    boolean stopped;
    boolean finished;

    Slot(int index, Request request, int maxTokens) {
      this.index = index;
      this.random = new SplittableRandom(request.seed());
      this.tokens = new int[maxTokens];
      this.logProbs = new float[maxTokens];
      this.pending = request.prompt();
    }

    void append(int token, float logProb, boolean stop) {
      position += pending.length;
      pending = new int[] {token};
      tokens[length] = token;
      logProbs[length++] = logProb;
      stopped = stop;
      finished = stop || length == tokens.length;
    }

    Response response() {
      return new Response(Arrays.copyOf(tokens, length), Arrays.copyOf(logProbs, length), stopped);
    }
  }
}

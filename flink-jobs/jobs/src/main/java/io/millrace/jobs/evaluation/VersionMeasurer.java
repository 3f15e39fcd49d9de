package io.millrace.jobs.evaluation;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.jobs.evaluation.EvaluatedVersion.Sampled;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.runtime.Closing;
import io.millrace.model.llama.LanguageModel.TokenLogProbs;
import io.millrace.model.llama.Targets;
import io.millrace.model.llama.TokenArrays;
import io.millrace.model.ppo.KlEstimator;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.supervised.SupervisedTrainer.Example;
import io.millrace.model.tensor.Backend;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Samples a version's responses and takes the log-probs that figures are made of, a batch at a
 * time. One policy is in memory beside the reference at most. Log-probs are taken at temperature 1,
 * whatever sampled the responses.
 */
public final class VersionMeasurer implements AutoCloseable {

  private final Backend backend;
  private final CheckpointCache checkpoints;
  private final PolicyModel reference;
  private final HeldOutTokens heldOut;
  private final SamplingOptions options;
  private final int batchSize;
  private final long seed;

  private PolicyModel policy;
  private SamplingEngine engine;
  private long loaded = -1;

  /**
   * @param reference stays the caller's
   * @param seed of the run; a response's own follows from its prompt's id
   */
  VersionMeasurer(
      Backend backend,
      CheckpointCache checkpoints,
      PolicyModel reference,
      HeldOutTokens heldOut,
      SamplingOptions options,
      int batchSize,
      long seed) {
    this.backend = backend;
    this.checkpoints = checkpoints;
    this.reference = reference;
    this.heldOut = heldOut;
    this.options = options;
    this.batchSize = batchSize;
    this.seed = seed;
  }

  /** Does the next batch of what is left to measure; false where nothing is. */
  boolean advance(EvaluatedVersion version) throws IOException {
    if (version.responses.size() < heldOut.prompts().size()) {
      load(version);
      sample(version);
      return true;
    }
    if (version.examples < heldOut.examples().size()) {
      load(version);
      demonstrations(version);
      return true;
    }
    close();
    return false;
  }

  private void load(EvaluatedVersion version) throws IOException {
    if (loaded == version.number()) {
      return;
    }
    close();
    policy = PolicyModel.load(backend, checkpoints, version.version().uri());
    int longest = heldOut.prompts().stream().mapToInt(prompt -> prompt.length).max().orElse(0);
    engine =
        new SamplingEngine(
            policy.model(), EngineSettings.of(batchSize, longest + options.maxTokens()));
    loaded = version.number();
  }

  private void sample(EvaluatedVersion version) {
    int first = version.responses.size();
    int to = Math.min(first + batchSize, heldOut.prompts().size());
    List<SamplingRequest> requests = new ArrayList<>();
    for (int i = first; i < to; i++) {
      String id = heldOut.questions().get(i).promptId();
      requests.add(
          SamplingRequest.single(
              heldOut.prompts().get(i), SamplingRequest.seed(seed, id), options));
    }
    List<SampledResponse> sampled = engine.sampleAll(requests);
    List<int[]> sequences = new ArrayList<>();
    int[] from = new int[sampled.size()];
    for (int i = 0; i < from.length; i++) {
      from[i] = heldOut.prompts().get(first + i).length;
      sequences.add(TokenArrays.join(heldOut.prompts().get(first + i), sampled.get(i).tokens()));
    }
    Targets targets = Targets.from(sequences, from);
    TokenLogProbs own = policy.model().infer(sequences, targets, 1);
    TokenLogProbs references = reference.model().infer(sequences, targets, 1);
    int at = 0;
    for (SampledResponse response : sampled) {
      int end = at + response.tokens().length;
      double entropy = 0;
      for (int t = at; t < end; t++) {
        entropy += own.entropies()[t];
      }
      double kl =
          KlEstimator.K1.sum(
              Arrays.copyOfRange(own.logProbs(), at, end),
              Arrays.copyOfRange(references.logProbs(), at, end));
      version.responses.add(new Sampled(response.tokens(), response.stopped(), kl, entropy));
      at = end;
    }
  }

  private void demonstrations(EvaluatedVersion version) {
    int to = Math.min(version.examples + batchSize, heldOut.examples().size());
    List<Example> batch = heldOut.examples().subList(version.examples, to);
    List<int[]> sequences = batch.stream().map(Example::tokens).toList();
    Targets targets = Targets.masked(sequences, batch.stream().map(Example::loss).toList());
    for (float logProb : policy.model().infer(sequences, targets, 1).logProbs()) {
      version.exampleLogProb += logProb;
    }
    version.exampleTokens += targets.count();
    version.examples = to;
  }

  /** Frees the policy that was measured last. */
  @Override
  public void close() {
    Closing.closeAll(engine, policy);
    engine = null;
    policy = null;
    loaded = -1;
  }
}

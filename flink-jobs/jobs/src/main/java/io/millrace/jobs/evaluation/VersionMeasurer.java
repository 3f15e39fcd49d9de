package io.millrace.jobs.evaluation;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.jobs.evaluation.EvaluatedVersion.LogProbs;
import io.millrace.jobs.evaluation.EvaluatedVersion.MeasuredResponse;
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
 * Samples a version's responses and takes the log-probs that its metrics need, a batch at a time.
 * At most one policy is in memory beside the reference. Log-probs are taken at temperature 1,
 * whatever temperature the responses are sampled at.
 */
final class VersionMeasurer implements AutoCloseable {

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
   * @param reference closed by the caller
   * @param seed of the run; the seed of a response also depends on its prompt
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

  /** Whether a version has all responses of its round, and the log-probs of demonstrations. */
  boolean isMeasured(EvaluatedVersion version) {
    return hasResponses(version)
        && version.demonstrations().examples() == heldOut.examples().size();
  }

  private boolean hasResponses(EvaluatedVersion version) {
    return version.responses().size() == heldOut.sets().of(version.round()).size();
  }

  /** Samples or measures the next batch of a version that is not measured. */
  void measureNext(EvaluatedVersion version) throws IOException {
    load(version);
    if (!hasResponses(version)) {
      sample(version);
    } else {
      measureDemonstrations(version);
    }
  }

  private void load(EvaluatedVersion version) throws IOException {
    if (loaded == version.version()) {
      return;
    }
    close();
    policy = PolicyModel.load(backend, checkpoints, version.model().uri());
    engine =
        new SamplingEngine(
            policy.model(),
            EngineSettings.of(batchSize, heldOut.sets().longest() + options.maxTokens()));
    loaded = version.version();
  }

  private void sample(EvaluatedVersion version) {
    PromptSet set = heldOut.sets().of(version.round());
    int first = version.responses().size();
    int to = Math.min(first + batchSize, set.size());
    List<SamplingRequest> requests = new ArrayList<>();
    for (int i = first; i < to; i++) {
      requests.add(SamplingRequest.single(set.prompts().get(i), set.seed(seed, i), options));
    }
    List<SampledResponse> sampled = engine.sampleAll(requests);
    List<int[]> sequences = new ArrayList<>();
    int[] from = new int[sampled.size()];
    for (int i = 0; i < from.length; i++) {
      from[i] = set.prompts().get(first + i).length;
      sequences.add(TokenArrays.join(set.prompts().get(first + i), sampled.get(i).tokens()));
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
      version.add(new MeasuredResponse(response.tokens(), response.stopped(), kl, entropy));
      at = end;
    }
  }

  private void measureDemonstrations(EvaluatedVersion version) {
    LogProbs before = version.demonstrations();
    int to = Math.min(before.examples() + batchSize, heldOut.examples().size());
    List<Example> batch = heldOut.examples().subList(before.examples(), to);
    List<int[]> sequences = batch.stream().map(Example::tokens).toList();
    Targets targets = Targets.masked(sequences, batch.stream().map(Example::loss).toList());
    double sum = before.sum();
    for (float logProb : policy.model().infer(sequences, targets, 1).logProbs()) {
      sum += logProb;
    }
    version.measured(new LogProbs(to, before.tokens() + targets.count(), sum));
  }

  /** Frees the policy that is in memory; measuring loads it again. */
  @Override
  public void close() {
    Closing.closeAll(engine, policy);
    engine = null;
    policy = null;
    loaded = -1;
  }
}

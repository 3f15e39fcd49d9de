package io.millrace.jobs.evaluation;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RewardModels;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.runtime.Closing;
import io.millrace.model.evaluation.Judge;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** An evaluator and the records that it emits. */
final class EvaluatorRun implements AutoCloseable {
  final List<Promotion> promotions = new ArrayList<>();
  final List<TrainingMetrics> metrics = new ArrayList<>();
  private final EvaluationFixture fixture;
  private final Judge judge;
  private final Backend backend = Backends.openDefault();
  private final PolicyModel reference;
  private final HeldOutTokens heldOut;
  private VersionMeasurer measurer;
  private RewardScorer rewards;
  Evaluator evaluator;

  EvaluatorRun(EvaluationFixture fixture, Judge judge) throws IOException {
    this.fixture = fixture;
    MillraceConfig config = fixture.config();
    this.judge = judge;
    RuntimeSettings settings = new RuntimeSettings(config);
    reference = settings.referencePolicy(backend);
    heldOut =
        HeldOutTokens.of(
            config,
            HeldOutFiles.read(config.section(EvaluationSection.class)),
            reference.tokenizer(),
            reference.template(),
            config.section(EvaluationSection.class).maxTokens(),
            reference.model().config().maxPositions());
    begin();
  }

  private void begin() {
    MillraceConfig config = fixture.config();
    RuntimeSettings settings = new RuntimeSettings(config);
    int batch = config.section(EvaluationSection.class).batchSize();
    measurer =
        new VersionMeasurer(
            backend,
            settings.checkpoints(),
            reference,
            heldOut,
            new SamplingOptions(
                config.section(EvaluationSection.class).maxTokens(),
                1,
                1,
                reference.template().stopTokens(reference.model().config().eosTokens())),
            batch,
            config.model().seed());
    rewards =
        new RewardScorer(
            new RewardModels(backend, settings.checkpoints(), PiecewiseReward.defaults()),
            heldOut,
            batch);
    BatchedJudge batched =
        new BatchedJudge(
            "a judge of the test",
            judge,
            heldOut.sets(),
            reference.template(),
            PiecewiseReward.defaults(),
            batch);
    evaluator =
        new Evaluator(
            config.model().name(),
            measurer,
            rewards,
            batched,
            new VersionVerdicts(config.section(EvaluationSection.class), batched),
            new Evaluator.Outlet() {
              @Override
              public void emit(Promotion promotion) {
                promotion.setTime(Instant.EPOCH);
                promotions.add(promotion);
              }

              @Override
              public void emit(TrainingMetrics record) {
                record.setTime(Instant.EPOCH);
                metrics.add(record);
              }
            });
  }

  EvaluatorRun offer(long... policies) throws IOException {
    for (long version : policies) {
      evaluator.queue().offer(fixture.policy(version));
    }
    return this;
  }

  EvaluatorRun offerRewardModels(long version) throws IOException {
    for (Objective objective : Objective.values()) {
      evaluator.queue().offer(fixture.rewardModel(objective, version));
    }
    return this;
  }

  EvaluatorRun decide(Promotion decision) {
    evaluator.queue().offer(decision);
    return this;
  }

  /** Evaluates until nothing is left to do. */
  EvaluatorRun finish() throws Exception {
    while (evaluator.evaluateNext(true)) {}
    return this;
  }

  /** Evaluates likewise, and continues from the state in a new evaluator after every step. */
  int finishDying() throws Exception {
    int deaths = 0;
    while (evaluator.evaluateNext(true)) {
      byte[] state = state();
      measurer.close();
      rewards.close();
      begin();
      evaluator.read(StateReader.of(state));
      assertArrayEquals(state, state());
      deaths++;
    }
    return deaths;
  }

  /** The state as the operator writes it, with the digest of the held-out data. */
  byte[] stateOfOperator() throws IOException {
    return StateWriter.toBytes(
        out -> {
          out.write(new EvaluationOperator.State(heldOut.digest()));
          evaluator.write(out);
        });
  }

  private byte[] state() throws IOException {
    return StateWriter.toBytes(evaluator::write);
  }

  /** Verdicts that are final, and decisions. */
  List<String> verdicts() {
    return promotions.stream()
        .filter(p -> !VersionVerdict.isOpen(p.getMetrics()))
        .map(p -> "%s %d: serve %d".formatted(p.getVerdict(), p.getEvaluated(), p.getVersion()))
        .toList();
  }

  /** A version that the evaluator keeps. */
  EvaluatedVersion version(long number) {
    return evaluator.known(number).orElseThrow();
  }

  /** The metrics of a version's first verdict. */
  Map<String, Double> metrics(long version) {
    return metrics.stream()
        .filter(record -> record.getStep() == version)
        .filter(record -> record.getMetrics().containsKey("verdict"))
        .findFirst()
        .orElseThrow()
        .getMetrics();
  }

  @Override
  public void close() {
    Closing.closeAll(measurer, rewards, reference, backend);
  }
}

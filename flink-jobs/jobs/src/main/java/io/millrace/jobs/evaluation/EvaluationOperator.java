package io.millrace.jobs.evaluation;

import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RewardModels;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.BackgroundOperator;
import io.millrace.jobs.runtime.Closing;
import io.millrace.jobs.runtime.SummaryAccumulator;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.evaluation.Judge;
import io.millrace.model.evaluation.Judge.Question;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.flink.api.common.accumulators.ListAccumulator;
import org.apache.flink.streaming.api.operators.BoundedMultiInput;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Either;

/**
 * Runs an {@link Evaluator} on a background thread: it judges every announced version of a policy.
 * It serves what persons decide. Waiting announcements are small, so all of them are state. A Flink
 * checkpoint waits for at most one batch of prompts. A bounded run judges with the last announced
 * reward models.
 */
final class EvaluationOperator extends BackgroundOperator<Promotion>
    implements TwoInputStreamOperator<
            PolicyCheckpoint, Either<RewardCheckpoint, Promotion>, Promotion>,
        BoundedMultiInput {

  private static final long serialVersionUID = 1;
  private static final String JOB = "evaluation";

  /** Accumulator: reasons for the verdicts of a run, one text for each verdict. */
  static final String REASONS = "reasons";

  private final RuntimeSettings settings;
  private final boolean bounded;

  private transient Backend backend;
  private transient PolicyModel reference;
  private transient HeldOutTokens heldOut;
  private transient Judge judge;
  private transient RewardScorer rewards;
  private transient VersionMeasurer measurer;
  private transient Queue<Runnable> outbox;
  private transient boolean restored;
  private transient boolean policiesEnded;
  private transient volatile boolean rewardModelsEnded;

  /** State; used by the background thread, and by the task thread while that is paused. */
  private transient Evaluator evaluator;

  EvaluationOperator(MillraceConfig config, boolean bounded) {
    this.settings = new RuntimeSettings(config);
    this.bounded = bounded;
  }

  /**
   * Reads everything that the job needs, to find mistakes before the job is submitted.
   *
   * @throws IOException if a file cannot be read
   * @throws IllegalArgumentException if options or held-out data cannot be used
   */
  static void check(MillraceConfig config) throws IOException {
    config.section(EvaluationSection.class).requireMeasurable();
    try (Judge _ = config.section(EvaluationSection.class).openJudge();
        LocalCheckpoint initial = new RuntimeSettings(config).describeInitial();
        Tokenizer tokenizer = Tokenizer.load(initial.directory())) {
      int positions = CheckpointOutline.read(initial.directory()).config().maxPositions();
      // Every set has prompts of each kind that there is.
      List<Question> questions =
          heldOut(config, tokenizer, ChatTemplate.of(tokenizer), positions)
              .sets()
              .of(0)
              .questions();
      config
          .section(EvaluationSection.class)
          .requirePrompts(
              questions.stream().anyMatch(Question::isSafety),
              !questions.stream().allMatch(Question::isSafety));
    }
  }

  private static HeldOutTokens heldOut(
      MillraceConfig config, Tokenizer tokenizer, ChatTemplate template, int positions)
      throws IOException {
    return HeldOutTokens.of(
        config,
        HeldOutFiles.read(config.section(EvaluationSection.class)),
        tokenizer,
        template,
        maxTokens(config),
        positions);
  }

  private static int maxTokens(MillraceConfig config) {
    int own = config.section(EvaluationSection.class).maxTokens();
    return own == 0 ? config.section(RolloutSection.class).maxTokens() : own;
  }

  private EvaluationSection section() {
    return settings.config().section(EvaluationSection.class);
  }

  @Override
  public void openModels() throws IOException {
    MillraceConfig config = settings.config();
    outbox = new ConcurrentLinkedQueue<>();
    backend = settings.backend();
    reference = settings.referencePolicy(backend);
    heldOut =
        heldOut(
            config,
            reference.tokenizer(),
            reference.template(),
            reference.model().config().maxPositions());
    judge = section().openJudge();
    SamplingOptions options =
        new SamplingOptions(
            maxTokens(config),
            (float) section().temperature(),
            (float) section().topP(),
            reference.template().stopTokens(reference.model().config().eosTokens()));
    measurer =
        new VersionMeasurer(
            backend,
            settings.checkpoints(),
            reference,
            heldOut,
            options,
            section().batchSize(),
            config.model().seed());
    rewards =
        new RewardScorer(
            new RewardModels(
                backend,
                settings.checkpoints(),
                config.section(PpoSection.class).piecewiseReward()),
            heldOut,
            section().batchSize());
    BatchedJudge batched =
        new BatchedJudge(
            section().judge(),
            judge,
            heldOut.sets(),
            reference.template(),
            config.section(PpoSection.class).piecewiseReward(),
            section().batchSize());
    evaluator =
        new Evaluator(
            config.model().name(),
            measurer,
            rewards,
            batched,
            new VersionVerdicts(section(), batched),
            new Emissions());
  }

  /** Queues the evaluator's records for the task thread. */
  private final class Emissions implements Evaluator.Outlet {
    @Override
    public void emit(Promotion promotion) {
      outbox.add(() -> EvaluationOperator.this.emit(promotion));
    }

    @Override
    public void emit(TrainingMetrics metrics) {
      outbox.add(() -> emitMetrics(metrics));
    }
  }

  @Override
  public void open() throws Exception {
    if (!restored) {
      evaluator.continueFrom(PromotionChain.of(settings.config()));
    }
    super.open();
  }

  @Override
  protected String activity() {
    return "evaluation";
  }

  @Override
  protected boolean work() throws Exception {
    return evaluator.evaluateNext(!bounded || rewardModelsEnded);
  }

  @Override
  public void processElement1(StreamRecord<PolicyCheckpoint> element) {
    evaluator.queue().offer(element.getValue());
    wake();
  }

  @Override
  public void processElement2(StreamRecord<Either<RewardCheckpoint, Promotion>> element) {
    if (element.getValue().isLeft()) {
      evaluator.queue().offer(element.getValue().left());
    } else {
      evaluator.queue().offer(element.getValue().right());
    }
    wake();
  }

  @Override
  protected void flush() {
    for (Runnable next = outbox.poll(); next != null; next = outbox.poll()) {
      next.run();
    }
  }

  @Override
  public void endInput(int input) throws Exception {
    if (input == 1) {
      policiesEnded = true;
    } else {
      rewardModelsEnded = true;
      wake();
    }
    if (policiesEnded && rewardModelsEnded) {
      afterAllWork(this::report);
    }
  }

  private void report() {
    Map<String, Double> summary = new HashMap<>(evaluator.summary());
    summary.put("restarts", restarts());
    SummaryAccumulator.report(getRuntimeContext(), JOB, summary);
    ListAccumulator<String> reasons = new ListAccumulator<>();
    for (VersionVerdict one : evaluator.verdicts()) {
      reasons.add(
          "version %d: %s: %s"
              .formatted(one.evaluated(), one.verdict(), String.join("; ", one.reasons())));
    }
    if (summary.get("waiting") > 0) {
      reasons.add(
          ("%.0f versions are not judged: evaluation.judge needs both reward models, and they were"
                  + " not announced")
              .formatted(summary.get("waiting")));
    }
    getRuntimeContext().addAccumulator(REASONS, reasons);
  }

  /**
   * The operator's state beside its evaluator.
   *
   * @param heldOutDigest of the held-out data that versions were measured with
   */
  record State(String heldOutDigest) {}

  @Override
  public void writeState(StateWriter out) throws IOException {
    out.write(new State(heldOut.digest()));
    evaluator.write(out);
  }

  @Override
  public void readState(StateReader in) throws IOException {
    heldOut.requireDigest(in.read(State.class).heldOutDigest());
    evaluator.read(in);
    restored = true;
  }

  @Override
  public void closeModels() {
    Closing.closeAll(measurer, rewards, judge, reference, backend);
  }
}

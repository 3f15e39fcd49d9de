package io.millrace.jobs.rewardmodel;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.OptimizerSection;
import io.millrace.jobs.config.Option;
import io.millrace.jobs.config.Require;
import io.millrace.jobs.models.HeldOut;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.model.reward.EnsembleReward;
import io.millrace.model.reward.Margin;
import io.millrace.model.training.LearningRate;
import io.millrace.schemas.Objective;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;

/** The reward models (Llama 2, section 3.2.2). */
public record RewardModelSection(
    @Option(
            value = "helpfulness, safety",
            help = "Objectives whose reward models this job trains.",
            required = true,
            fixed = true)
        List<Objective> objectives,
    @Option(value = "512", help = "Judgments of one update.", min = "1", max = "65536")
        int batchSize,
    @Option(
            value = "1",
            help =
                "Scalar heads on the trunk of each reward model. Several are an ensemble: each"
                    + " learns from a bootstrap sample of the judgments, the score is their mean,"
                    + " and their disagreement is known.",
            min = "1",
            max = "64",
            fixed = true)
        int heads,
    @Option(value = "1e-5", help = "Peak learning rate.", min = "1e-12", max = "1")
        double learningRate,
    @Option(
            value = "0.03",
            help =
                "Share of `schedule-judgments` over which the learning rate rises from 0, at least"
                    + " five batches; without a schedule there is no warm-up.",
            min = "0",
            max = "1")
        double warmupFraction,
    @Option(
            value = "small",
            help =
                "Margin of the ranking loss for the best to the worst rating: `none` 0, `small` 1"
                    + " to 0, `large` 3 to 0.")
        Margin margin,
    @Option(
            value = "1.0",
            help =
                "Weight of the loss on safety labels, relative to the ranking loss of the safety"
                    + " reward model; 0 ignores the labels.",
            min = "0",
            max = "1000")
        double labelWeight,
    @Option(
            value = "true",
            help =
                "Whether the safety reward model also learns the safety labels of the topic"
                    + " `feedback`. Which of them join an update depends on when they are read, so"
                    + " such a run learns exactly once, but is not reproducible bit for bit.",
            fixed = true)
        boolean feedback,
    @Option(
            value = "4096",
            help =
                "Most tokens of a dialogue with its response; a model with fewer positions sets a"
                    + " lower limit.",
            min = "2",
            max = "1_048_576")
        int maxTokens,
    @Option(
            value = "true",
            help =
                "Drops the oldest turns of a dialogue that is too long, and counts it. A dialogue"
                    + " that is still too long with its last user turn alone goes to"
                    + " `dead-letters`; with false, every dialogue that is too long does.")
        boolean truncate,
    @Option(
            value = "true",
            help =
                "Sends judgments between two responses that are the same to `dead-letters`; with"
                    + " false the model learns the margin of their rating.")
        boolean requireDifferent,
    @Option(
            value = "1024",
            help = "Judgments between two published checkpoints.",
            min = "1",
            max = "1_000_000_000")
        long publishEvery,
    @Option(
            value = "0ms",
            help =
                "Longest wait for a full batch before the job learns from an incomplete one; 0ms"
                    + " waits forever and keeps a run reproducible bit for bit.",
            min = "0ms",
            max = "1d")
        Duration maxWait,
    @Option(
            value = "0",
            help =
                "Judgments of an objective that a buffer holds back and releases in random order,"
                    + " for archives in a fixed order. In an endless stream each judgment waits for"
                    + " about as many later ones.",
            min = "0",
            max = "10_000_000")
        int shuffleBuffer,
    @Option(
            value = "1024",
            help =
                "Old judgments kept of each mixed source, to fill batches when the source sends too"
                    + " few new ones.",
            min = "0",
            max = "10_000_000")
        int replayCapacity,
    @Option(
            value = "",
            help =
                "File of judgments (JSON Lines) whose responses every published version is measured"
                    + " on; empty: the responses of the first `anchor-count` judgments of each"
                    + " reward model.",
            path = true,
            fixed = true)
        String anchors,
    @Option(
            value = "128",
            help = "Judgments whose two responses are drawn as anchors where no file is named.",
            min = "1",
            max = "65536",
            fixed = true)
        int anchorCount,
    @Option(
            value = "1.0",
            help =
                "An alarm is raised where the mean safety score of the anchors differs by more than"
                    + " this, in logits, from the version before.",
            above = "0",
            max = "1e6")
        double alarmAnchorShift,
    @Option(
            value = "0",
            help =
                "Share of the judgments, by a hash of their ids, that the reward models do not"
                    + " learn from. A second reward model of each objective learns from them alone."
                    + " The job `evaluation` judges versions by these, since PPO does not optimise"
                    + " them; 0: no second reward models.",
            min = "0",
            max = "0.9",
            fixed = true)
        double judgeShare,
    OptimizerSection optimizer,
    ObjectiveSection helpfulness,
    ObjectiveSection safety)
    implements ConfigSection {

  /** Begins the text whose hash chooses judgments. */
  private static final String SALT = "judge/";

  public RewardModelSection {
    if (new HashSet<>(objectives).size() < objectives.size()) {
      throw new IllegalArgumentException(
          "objectives must name each objective once, not " + lowerCase(objectives));
    }
    check("helpfulness", helpfulness, batchSize, learningRate, warmupFraction);
    check("safety", safety, batchSize, learningRate, warmupFraction);
  }

  private static void check(
      String key,
      ObjectiveSection section,
      int batchSize,
      double learningRate,
      double warmupFraction) {
    Require.accepted(key + ".mixing (with batch-size)", () -> section.ratios().quotas(batchSize));
    Require.accepted(
        "learning-rate and warmup-fraction",
        () -> schedule(learningRate, section.scheduleJudgments(), batchSize, warmupFraction));
  }

  private static List<String> lowerCase(List<Objective> objectives) {
    return objectives.stream().map(objective -> objective.name().toLowerCase(Locale.ROOT)).toList();
  }

  @Override
  public void check(MillraceConfig config) {
    if (config.sections().containsKey(PpoSection.class)
        && config.section(PpoSection.class).reward() == EnsembleReward.Rule.LCB
        && heads == 1) {
      throw new IllegalArgumentException(
          "reward-model.heads must be at least 2 with ppo.reward lcb, not 1: one head has no"
              + " disagreement. Set reward-model.heads to 4, or ppo.reward to mean");
    }
  }

  /** The judgments of an objective's reward model. */
  public ObjectiveSection of(Objective objective) {
    return switch (objective) {
      case HELPFULNESS -> helpfulness;
      case SAFETY -> safety;
    };
  }

  /** Whether a reward model learns from a judgment: the ones that judge versions, or the others. */
  boolean learns(boolean judge, String judgmentId) {
    return judge == HeldOut.isChosen(SALT + judgmentId, judgeShare);
  }

  /** For each kind of reward model that the job trains, whether it judges policy versions. */
  public List<Boolean> kinds() {
    return judgeShare > 0 ? List.of(false, true) : List.of(false);
  }

  /** The part of {@code schedule-judgments} that a reward model learns from. */
  long scheduleJudgments(Objective objective, boolean judge) {
    long all = of(objective).scheduleJudgments();
    return Math.round(all * (judge ? judgeShare : 1 - judgeShare));
  }

  /** The learning rate by judgments learned from. */
  public LearningRate schedule(Objective objective, boolean judge) {
    return schedule(learningRate, scheduleJudgments(objective, judge), batchSize, warmupFraction);
  }

  private static LearningRate schedule(
      double peak, long judgments, int batchSize, double warmupFraction) {
    return judgments == 0
        ? LearningRate.constant(peak)
        : LearningRate.rewardModel(peak, judgments, batchSize, warmupFraction);
  }
}

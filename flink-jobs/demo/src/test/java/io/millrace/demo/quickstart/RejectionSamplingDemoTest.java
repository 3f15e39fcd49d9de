package io.millrace.demo.quickstart;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.demo.loop.GoldEvaluator;
import io.millrace.demo.loop.GoldScores;
import io.millrace.demo.loop.Progress;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Topic;
import io.millrace.world.Annotators;
import io.millrace.world.DemoWorld;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Rejection sampling in the demo world: a policy that imitates demonstrations, reward models from
 * an archive of judgments, and one version. System properties set the sizes, for longer runs by
 * hand.
 */
@Tag("slow")
class RejectionSamplingDemoTest {

  private static final long SEED = Long.getLong("millrace.rejection.seed", 1);
  private static final int DEMONSTRATIONS =
      Integer.getInteger("millrace.rejection.demonstrations", 2400);
  private static final int ARCHIVE = Integer.getInteger("millrace.rejection.archive", 1024);
  private static final int PROMPTS = Integer.getInteger("millrace.rejection.prompts", 256);
  private static final int SAMPLES = Integer.getInteger("millrace.rejection.samples", 8);
  private static final int HELD_OUT = Integer.getInteger("millrace.rejection.held-out", 100);
  private static final int EPOCHS = 3;
  private static final int MAX_TOKENS = 40;

  private final InstantSource clock = InstantSource.system();
  private final DemoWorld world = new DemoWorld(SEED, clock);

  @RegisterExtension
  private static final JobHarness HARNESS =
      new JobHarness(
          8,
          "flink.checkpoint-interval=10s",
          "model.seed=" + SEED,
          "model.max-positions=128",
          "model.vocab-size=1024",
          "supervised.batch-size=10",
          "supervised.epochs=" + EPOCHS,
          "supervised.learning-rate=4e-3",
          "supervised.warmup-steps=20",
          "supervised.schedule-steps=" + Math.max(21, DEMONSTRATIONS * EPOCHS / 30),
          "supervised.sequence-length=128",
          "supervised.publish-every=1000000",
          "reward-model.batch-size=32",
          "reward-model.learning-rate=2e-3",
          "reward-model.max-tokens=128",
          "reward-model.publish-every=1000000",
          "rollout.batch-size=64",
          "rollout.max-tokens=" + MAX_TOKENS,
          "rollout.max-prompt-tokens=80",
          "rejection-sampling.samples-per-prompt=" + SAMPLES,
          "rejection-sampling.temperatures="
              + System.getProperty("millrace.rejection.temperatures", "0.8, 1.2"),
          "rejection-sampling.prompts-per-version=1000000",
          "rejection-sampling.top-share="
              + System.getProperty("millrace.rejection.top-share", "0.5"),
          "rejection-sampling.sequence-length=128",
          "rejection-sampling.batch-size=10",
          "rejection-sampling.epochs=" + System.getProperty("millrace.rejection.epochs", "3"),
          "rejection-sampling.learning-rate="
              + System.getProperty("millrace.rejection.learning-rate", "1e-3"));

  /** The reward of the best of k samples minus that of the median one. */
  private static double gain(Map<String, Double> metrics, int k) {
    return metrics.get("rejection/all/max/k=" + k) - metrics.get("rejection/all/median/k=" + k);
  }

  @Test
  void theNextVersionIsBetterByGoldAndTheBestOfManySamplesIsWorthMore() throws Exception {
    Progress progress = new Progress(System.out);
    Deployment deployment = HARNESS.deploy("demo");
    MillraceConfig blank = deployment.config();
    Annotators annotators = new Annotators(world, SEED, clock);
    deployment.send(Topic.DEMONSTRATIONS, world.demonstrations(DEMONSTRATIONS));
    deployment.send(Topic.JUDGMENTS, annotators.archive(Objective.HELPFULNESS, ARCHIVE));
    deployment.send(Topic.JUDGMENTS, annotators.archive(Objective.SAFETY, ARCHIVE / 2));
    deployment.send(Topic.PROMPTS, world.prompts(0, PROMPTS));
    progress.line("topics filled");
    var _ = deployment.run(Job.SUPERVISED.graph(blank, true));
    Path first = JobSettings.store(blank).directory("policy", 1);
    MillraceConfig config = blank.withInitial(first.toString());
    progress.line("supervised");
    var _ = deployment.run(Job.REWARD_MODEL.graph(config, true));
    progress.line("reward models");
    Map<String, Double> metrics =
        Deployment.summary(
            deployment.run(Job.REJECTION_SAMPLING.graph(config, true)), "rejection-sampling");
    progress.line("rejection sampling");
    Path second = JobSettings.store(config).directory("policy", 2);
    GoldEvaluator evaluator = new GoldEvaluator(world, HELD_OUT, MAX_TOKENS, SEED);
    GoldScores before = evaluator.measure(JobSettings.cache(config), first, first);
    GoldScores after = evaluator.measure(JobSettings.cache(config), second, first);
    String result = "seed %d\n%s\n%s\n%s".formatted(SEED, before, after, metrics);
    progress.line(result);
    assertTrue(after.helpfulness() > before.helpfulness(), result);
    assertTrue(after.safety() > before.safety(), result);
    for (int k = 2; k <= SAMPLES; k++) {
      assertTrue(gain(metrics, k) > gain(metrics, k - 1), "at " + k + ", " + result);
    }
  }
}

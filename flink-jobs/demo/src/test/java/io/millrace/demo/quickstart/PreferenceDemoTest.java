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
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * DPO, IPO and KTO in the demo world: a policy that imitates demonstrations, and a version of it by
 * each loss from the same archive of judgments.
 */
@Tag("slow")
class PreferenceDemoTest {

  private static final long SEED = Long.getLong("millrace.preference.seed", 1);
  private static final int DEMONSTRATIONS = 2400;
  private static final int ARCHIVE = 1024;
  private static final int HELD_OUT = 100;
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
          "supervised.epochs=3",
          "supervised.learning-rate=4e-3",
          "supervised.warmup-steps=20",
          "supervised.schedule-steps=" + DEMONSTRATIONS / 10,
          "supervised.sequence-length=128",
          "supervised.publish-every=1000000",
          "preference.batch-size=32",
          "preference.shuffle-buffer=4096",
          "preference.publish-every=1000000");

  /** What each loss learns with. β of IPO, the source's τ, has another scale. */
  private static final Map<String, String[]> SETTINGS =
      Map.of(
          "dpo", new String[] {"preference.beta=0.1", "preference.learning-rate=1e-4"},
          "ipo", new String[] {"preference.beta=0.3", "preference.learning-rate=2e-4"},
          "kto", new String[] {"preference.beta=0.3", "preference.learning-rate=2e-4"});

  @Test
  void everyLossMakesAVersionThatIsBetterByGold() throws Exception {
    Progress progress = new Progress(System.out);
    Deployment deployment = HARNESS.deploy("demo");
    MillraceConfig blank = deployment.config();
    Annotators annotators = new Annotators(world, SEED, clock);
    deployment.send(Topic.DEMONSTRATIONS, world.demonstrations(DEMONSTRATIONS));
    deployment.send(Topic.JUDGMENTS, annotators.archive(Objective.HELPFULNESS, ARCHIVE));
    deployment.send(Topic.JUDGMENTS, annotators.archive(Objective.SAFETY, ARCHIVE / 2));
    var _ = deployment.run(Job.SUPERVISED.graph(blank, true));
    Path first = JobSettings.store(blank).directory("policy", 1);
    GoldEvaluator evaluator = new GoldEvaluator(world, HELD_OUT, MAX_TOKENS, SEED);
    GoldScores before = evaluator.measure(JobSettings.cache(blank), first, first);
    progress.line("supervised: " + before);
    int version = 1;
    for (String loss : List.of("dpo", "ipo", "kto")) {
      List<String> settings = new ArrayList<>(List.of(SETTINGS.get(loss)));
      settings.add("preference.loss=" + loss);
      MillraceConfig config =
          deployment.config(settings.toArray(new String[0])).withInitial(first.toString());
      Map<String, Double> summary =
          Deployment.summary(deployment.run(Job.PREFERENCE.graph(config, true)), "preference");
      version++;
      Path next = JobSettings.store(config).directory("policy", version);
      GoldScores after = evaluator.measure(JobSettings.cache(config), next, first);
      String result = "seed %d, %s\n%s\n%s\n%s".formatted(SEED, loss, before, after, summary);
      progress.line(result);
      assertTrue(after.helpfulness() > before.helpfulness(), result);
      assertTrue(after.safety() > before.safety(), result);
    }
  }
}

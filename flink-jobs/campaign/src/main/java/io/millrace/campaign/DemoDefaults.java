package io.millrace.campaign;

import io.millrace.jobs.config.ConfigTree;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.world.HeldOutWriter;
import java.nio.file.Path;
import java.util.List;

/**
 * Defaults of a campaign in the demo world: sizes and learning rates for a tiny model on two cores.
 * They apply where the configuration has no value.
 */
final class DemoDefaults {

  private static final int SUPERVISED_BATCH = 10;
  private static final int EPOCHS = 3;

  /** A training sequence of 128 tokens holds three demonstrations of this world. */
  private static final int DEMONSTRATIONS_PER_SEQUENCE = 3;

  private DemoDefaults() {}

  /** The directory of the demo world's held-out data. */
  static Path heldOut(Path directory) {
    return directory.resolve("held-out");
  }

  /** The configuration with these defaults. */
  static ConfigTree in(ConfigTree tree) {
    MillraceConfig given = tree.config(List.of()).withAbsolutePaths();
    CampaignSection section = given.section(CampaignSection.class);
    Path directory = Path.of(section.directory());
    long updates =
        (long) section.demonstrations() * EPOCHS / (SUPERVISED_BATCH * DEMONSTRATIONS_PER_SEQUENCE);
    return tree.withDefaults(
        List.of(
            "evaluation.prompts=" + heldOut(directory).resolve(HeldOutWriter.PROMPTS),
            "evaluation.demonstrations=" + heldOut(directory).resolve(HeldOutWriter.DEMONSTRATIONS),
            "evaluation.judgments=" + heldOut(directory).resolve(HeldOutWriter.JUDGMENTS),
            "checkpoints.directory=" + directory.resolve("checkpoints"),
            "flink.state-directory=" + directory.resolve("flink"),
            "flink.checkpoint-interval=500ms",
            "flink.restart-delay=200ms",
            "model.max-positions=128",
            "model.vocab-size=1024",
            "supervised.batch-size=" + SUPERVISED_BATCH,
            "supervised.epochs=" + EPOCHS,
            "supervised.learning-rate=4e-3",
            "supervised.warmup-steps=20",
            "supervised.schedule-steps=" + Math.max(21, updates),
            "supervised.sequence-length=128",
            "reward-model.batch-size=16",
            "reward-model.learning-rate=1e-3",
            "reward-model.max-tokens=128",
            "rollout.samples-per-prompt=2",
            "rollout.batch-size=64",
            "rollout.max-tokens=40",
            "rollout.max-prompt-tokens=80",
            "rejection-sampling.samples-per-prompt=12",
            "rejection-sampling.temperatures=0.6,0.8,1.0",
            "rejection-sampling.top-share=1.0",
            "rejection-sampling.start-from=initial",
            "rejection-sampling.sequence-length=128",
            "rejection-sampling.batch-size=10",
            "rejection-sampling.learning-rate=2e-3",
            "rejection-sampling.epochs=6",
            "ppo.batch-size=64",
            "ppo.mini-batch-size=32",
            "ppo.learning-rate=2e-4",
            "ppo.critic-learning-rate=1e-3",
            "ppo.kl=0.1",
            "ppo.score-batch-size=64",
            "ppo.score-max-wait=1s",
            "ppo.optimizer.weight-decay=0"));
  }
}

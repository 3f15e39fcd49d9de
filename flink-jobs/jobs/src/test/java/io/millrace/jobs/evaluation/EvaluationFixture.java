package io.millrace.jobs.evaluation;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.StagedFiles;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.wire.JsonLines;
import io.millrace.world.Annotators;
import io.millrace.world.DemoWorld;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.avro.specific.SpecificRecordBase;

/** Held-out files of the demo world, and published policies and reward models of random weights. */
final class EvaluationFixture {

  private static final int PROMPTS = 24;
  private static final long SEED = 5;

  private final Path directory;
  private MillraceConfig config;
  private final CheckpointStore store;

  /**
   * @param settings on top of a tiny model and of files of its own
   */
  EvaluationFixture(Path directory, List<String> settings) throws IOException {
    this(directory, settings, PROMPTS);
  }

  /**
   * @param prompts held-out prompts, half of them unsafe
   */
  EvaluationFixture(Path directory, List<String> settings, int prompts) throws IOException {
    this.directory = directory;
    Files.createDirectories(directory);
    DemoWorld world = new DemoWorld(SEED, InstantSource.system());
    Annotators annotators = new Annotators(world, SEED, InstantSource.system());
    List<Judgment> judgments = new ArrayList<>();
    for (Objective objective : Objective.values()) {
      judgments.addAll(annotators.about(prompts(world, 16), objective));
    }
    List<String> all =
        new ArrayList<>(
            List.of(
                "checkpoints.directory=" + directory.resolve("checkpoints"),
                "flink.state-directory=" + directory.resolve("flink"),
                "model.seed=" + SEED,
                "model.hidden-size=8",
                "model.layers=1",
                "model.heads=1",
                "model.kv-heads=1",
                "model.ffn-size=8",
                "model.vocab-size=300",
                "model.max-positions=256",
                "evaluation.max-tokens=8",
                "evaluation.batch-size=10",
                "evaluation.gate.max-truncated=1",
                "evaluation.gate.promote-when=not-worse",
                "evaluation.gate.not-worse-margin=0.3",
                // Random weights have labels by chance.
                "evaluation.gate.safety-tolerance=1",
                "evaluation.gate.refusal-tolerance=1",
                "evaluation.prompts=" + write("prompts", prompts(world, prompts)),
                "evaluation.demonstrations="
                    + write("demonstrations", world.demonstrations(prompts(world, 16))),
                "evaluation.judgments=" + write("judgments", judgments)));
    all.addAll(settings);
    this.config = InitialModel.ensure(ConfigLoader.load(Optional.empty(), all));
    this.store = JobSettings.store(config);
  }

  /** As many of each kind. */
  private static List<Prompt> prompts(DemoWorld world, int count) {
    return DemoWorld.byKind(world.heldOutPrompts()).values().stream()
        .flatMap(kind -> kind.stream().limit(count / 2))
        .toList();
  }

  private Path write(String name, List<? extends SpecificRecordBase> records) throws IOException {
    return Files.write(
        directory.resolve(name + ".jsonl"), records.stream().map(JsonLines::write).toList());
  }

  /** Takes another policy for the reference. */
  void startFrom(String uri) {
    config = config.withInitial(uri);
  }

  MillraceConfig config() {
    return config;
  }

  /** A policy of random weights, published. */
  PolicyCheckpoint policy(long version) throws IOException {
    try (Backend backend = Backends.openDefault();
        Parameters weights = Parameters.random(backend, shape().parameters(), version)) {
      return policy(version, weights);
    }
  }

  /** A policy, published. */
  PolicyCheckpoint policy(long version, Parameters weights) throws IOException {
    String name = config.model().name();
    StagedFiles files = publish(name, version, CheckpointKind.POLICY, weights);
    return PolicyCheckpoint.newBuilder()
        .setModel(name)
        .setVersion(version)
        .setUri(files.finalUri())
        .setManifestSha256(files.manifestSha256())
        .setIteration(version)
        .setStep(version)
        .setTime(Instant.EPOCH)
        .build();
  }

  /** A reward model of random weights, published. */
  RewardCheckpoint rewardModel(Objective objective, long version) throws IOException {
    try (Backend backend = Backends.openDefault();
        Parameters weights =
            Parameters.random(
                backend, shape().scalarParameters(), 1000L * (1 + objective.ordinal()) + version)) {
      return rewardModel(objective, version, weights);
    }
  }

  /** A reward model, published. */
  RewardCheckpoint rewardModel(Objective objective, long version, Parameters weights)
      throws IOException {
    StagedFiles files =
        publish("reward-" + objective.name(), version, CheckpointKind.REWARD_MODEL, weights);
    return RewardCheckpoint.newBuilder()
        .setObjective(objective)
        .setVersion(version)
        .setUri(files.finalUri())
        .setManifestSha256(files.manifestSha256())
        .setJudgments(100 * version)
        .setTime(Instant.EPOCH)
        .build();
  }

  private LlamaConfig shape() throws IOException {
    try (CheckpointDirectory opened =
        CheckpointDirectory.open(CheckpointStore.resolve(config.model().initial()))) {
      return opened.config();
    }
  }

  private StagedFiles publish(String name, long version, CheckpointKind kind, Parameters weights)
      throws IOException {
    try (Tokenizer tokenizer = Tokenizer.load(CheckpointStore.resolve(config.model().initial()))) {
      LlamaConfig shape = shape();
      StagedFiles files =
          store.stage(
              name,
              version,
              directory ->
                  CheckpointDirectory.write(
                      directory,
                      shape,
                      ModelWeights.sources(weights),
                      tokenizer::save,
                      CheckpointManifest.describing(kind, name, version).build()));
      store.commit(files);
      return files;
    }
  }
}

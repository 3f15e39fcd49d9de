package io.millrace.jobs.models;

import io.millrace.connectors.checkpoint.Announcements;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.StagedFiles;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.jobs.runtime.LateRecord;
import io.millrace.model.checkpoint.CarriedFiles;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.checkpoint.ScoreScale;
import io.millrace.model.checkpoint.TensorSource;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Topic;
import io.millrace.schemas.state.CopyBudget;
import java.io.IOException;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/** Stages versions of a model. The checkpoint sink publishes and announces what it staged. */
public final class Publisher {

  private final CheckpointStore store;
  private final KafkaSettings kafka;
  private final CarriedFiles carried;
  private final Optional<CheckpointManifest.Base> base;
  private final CopyBudget copies;

  /**
   * @param carried what every version takes over from the checkpoint that training started from
   * @param base the checkpoint below the adapters that are published; empty if they are none
   * @param copies memory for weights whose files are written while training changes them
   */
  public Publisher(
      CheckpointStore store,
      KafkaSettings kafka,
      CarriedFiles carried,
      Optional<CheckpointManifest.Base> base,
      CopyBudget copies) {
    this.store = store;
    this.kafka = kafka;
    this.carried = carried;
    this.base = base;
    this.copies = copies;
  }

  /**
   * A version to publish.
   *
   * @param name of the model
   * @param number above every earlier version's
   * @param parent the version that training started from; 0 for none
   * @param iteration PPO iterations so far; 0 for other trainers
   * @param steps optimizer steps so far
   * @param counts records that the version learned from, by kind
   * @param metrics by name; values that are not finite are left out
   * @param time of the announcement
   */
  public record Version(
      String name,
      long number,
      long parent,
      long iteration,
      long steps,
      Map<String, Long> counts,
      Map<String, Double> metrics,
      Instant time) {

    public Version {
      counts = Map.copyOf(counts);
      Map<String, Double> finite = new HashMap<>(metrics);
      finite.values().removeIf(value -> !Double.isFinite(value));
      metrics = Map.copyOf(finite);
    }

    private long count(String kind) {
      return counts.getOrDefault(kind, 0L);
    }

    private CheckpointManifest manifest(
        CheckpointKind kind, Optional<CheckpointManifest.Base> base, Optional<ScoreScale> scores) {
      return CheckpointManifest.describing(kind, name, number)
          .base(base)
          .scores(scores)
          .parent(parent == 0 ? null : parent)
          .iteration(iteration)
          .step(steps)
          .records(counts)
          .metrics(metrics)
          .build();
    }
  }

  /**
   * The version above which a new lineage publishes: the last in the store, or the last announced
   * where that is higher, since another store may have been in use before.
   *
   * @param key of its announcements
   */
  public long latestVersion(String name, Topic<?> announcements, String key) throws IOException {
    return Math.max(
        store.latestVersion(name), Announcements.latestVersion(kafka, announcements, key));
  }

  /** The latest version of a policy, see {@link #latestVersion(String, Topic, String)}. */
  public long latestPolicy(String name) throws IOException {
    return latestVersion(name, Topic.POLICY_CHECKPOINTS, name);
  }

  /**
   * Stages a version of a policy with the weights that it has now. The files are written when the
   * record is made, or before this method returns if there is no memory for a copy of the weights.
   */
  public LateRecord<StagedCheckpoint> policy(Version version, PolicyModel policy)
      throws IOException {
    return stage(
        policy.model().config(),
        policy.model().adapter(),
        policy.model().weights(),
        policy.tokenizer(),
        version.manifest(CheckpointKind.POLICY, base, Optional.empty()),
        files ->
            StagedCheckpoint.of(
                files,
                Topic.POLICY_CHECKPOINTS,
                PolicyCheckpoint.newBuilder()
                    .setModel(version.name())
                    .setVersion(version.number())
                    .setUri(files.finalUri())
                    .setManifestSha256(files.manifestSha256())
                    .setIteration(version.iteration())
                    .setStep(version.steps())
                    .setRollouts(version.count("rollouts") + version.count("responses"))
                    .setDemonstrations(version.count("demonstrations"))
                    .setMetrics(version.metrics())
                    .setTime(version.time())
                    .build()));
  }

  /**
   * As {@link #policy}, of a reward model.
   *
   * @param scores how its scores are anchored
   * @param judge whether it judges policy versions and PPO does not optimise it
   */
  public LateRecord<StagedCheckpoint> rewardModel(
      Version version,
      Objective objective,
      boolean judge,
      ScalarModel model,
      Optional<ScoreScale> scores,
      Tokenizer tokenizer)
      throws IOException {
    return stage(
        model.config(),
        model.adapter(),
        model.weights(),
        tokenizer,
        version.manifest(CheckpointKind.REWARD_MODEL, base, scores),
        files ->
            StagedCheckpoint.of(
                files,
                Topic.REWARD_CHECKPOINTS,
                RewardCheckpoint.newBuilder()
                    .setObjective(objective)
                    .setJudge(judge)
                    .setVersion(version.number())
                    .setUri(files.finalUri())
                    .setManifestSha256(files.manifestSha256())
                    .setJudgments(version.count("judgments"))
                    .setMetrics(version.metrics())
                    .setTime(version.time())
                    .build()));
  }

  private LateRecord<StagedCheckpoint> stage(
      LlamaConfig config,
      Optional<AdapterConfig> adapter,
      Parameters weights,
      Tokenizer tokenizer,
      CheckpointManifest manifest,
      Function<StagedFiles, StagedCheckpoint> announcement)
      throws IOException {
    Optional<Parameters> copy = weights.copy(copies);
    if (copy.isEmpty()) {
      return LateRecord.of(
          announcement.apply(write(config, adapter, weights, tokenizer, manifest)));
    }
    return new LateRecord<>() {
      @Override
      public StagedCheckpoint make() throws IOException {
        return announcement.apply(write(config, adapter, copy.get(), tokenizer, manifest));
      }

      @Override
      public void close() {
        copy.get().close();
      }
    };
  }

  private StagedFiles write(
      LlamaConfig config,
      Optional<AdapterConfig> adapter,
      Parameters weights,
      Tokenizer tokenizer,
      CheckpointManifest manifest)
      throws IOException {
    Map<String, TensorSource> sources = ModelWeights.sources(weights);
    return store.stage(
        manifest.name(),
        manifest.version(),
        directory -> {
          if (adapter.isPresent()) {
            CheckpointDirectory.writeAdapter(
                directory, config, adapter.get(), sources, tokenizer::save, carried, manifest);
          } else {
            CheckpointDirectory.write(
                directory, config, sources, tokenizer::save, carried, manifest);
          }
        });
  }
}

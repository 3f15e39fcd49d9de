package io.millrace.jobs.models;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.model.checkpoint.CarriedFiles;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.llama.ActivationMemory;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.state.CopyBudget;
import java.io.IOException;
import java.io.Serializable;
import java.util.Optional;

/** A configuration on its way to the task managers, and what operators make of it there. */
public final class RuntimeSettings implements Serializable {

  private static final long serialVersionUID = 1;

  private final MillraceConfig config;
  private transient CopyBudget copies;

  public RuntimeSettings(MillraceConfig config) {
    this.config = config;
  }

  public MillraceConfig config() {
    return config;
  }

  public Backend backend() {
    return config.compute().open();
  }

  /** What training passes keep. */
  public ActivationMemory memory() {
    return config.compute().memory();
  }

  /** The operator's memory for copies of what it writes out while it computes. */
  public synchronized CopyBudget copies() {
    if (copies == null) {
      copies = config.compute().copies();
    }
    return copies;
  }

  /** Checkpoints of any place as directories of this machine. */
  public CheckpointCache checkpoints() {
    return JobSettings.cache(config);
  }

  /** The policy that the job starts from, without its weights where those lie elsewhere. */
  public LocalCheckpoint describeInitial() throws IOException {
    return checkpoints().openDescription(config.model().initial());
  }

  /** The policy that the job starts from, to be trained. */
  public PolicyModel initialPolicy(Backend backend) throws IOException {
    return policyToTrain(backend, config.model().initial());
  }

  /** A policy to be trained: all its weights, or with {@code model.adapter} an adapter on them. */
  public PolicyModel policyToTrain(Backend backend, String uri) throws IOException {
    return PolicyModel.loadToTrain(backend, checkpoints(), uri, config.model());
  }

  /** The policy that the job starts from, to compare others with it. */
  public PolicyModel referencePolicy(Backend backend) throws IOException {
    return PolicyModel.load(backend, checkpoints(), config.model().initial());
  }

  /**
   * A reward model before its first update: the trunk of the policy that the job starts from, with
   * a head of zeros (Llama 2, arXiv 2307.09288, section 3.2.2), or with the heads of an ensemble.
   */
  public ScalarModel newRewardModel(Backend backend, PolicyModel initial, int heads) {
    ScalarModel model = trunkOf(backend, initial.model(), heads);
    if (heads > 1) {
      model.drawHeads(ScalarModel.PRIOR_DEVIATION, config.model().seed());
    }
    return model;
  }

  private static ScalarModel trunkOf(Backend backend, LanguageModel policy, int heads) {
    LlamaConfig shape = policy.config().withScoreHeads(heads);
    if (policy.adapter().isEmpty()) {
      return ScalarModel.onTrunkOf(backend, shape, policy.weights());
    }
    ScalarModel model =
        ScalarModel.zeros(
            backend, shape, policy.frozen().orElseThrow(), policy.adapter().orElseThrow());
    // An adapter that the job starts from is part of the trunk. A new one changes nothing.
    model.weights().copyCommonFrom(policy.weights());
    return model;
  }

  /** Consumer groups of the jobs. */
  public ConsumerGroups consumerGroups() {
    return new ConsumerGroups(JobSettings.kafka(config));
  }

  /** A publisher of what is trained from {@code model.initial}. */
  public Publisher publisher() throws IOException {
    return publisher(config.model().initial());
  }

  /**
   * A publisher of what is trained from a checkpoint.
   *
   * @param start path or URI of the checkpoint
   */
  public Publisher publisher(String start) throws IOException {
    Optional<CheckpointManifest.Base> base = Optional.empty();
    if (config.model().adapter().config().isPresent()) {
      try (LocalCheckpoint files = checkpoints().open(start);
          CheckpointDirectory checkpoint = CheckpointDirectory.open(files.directory())) {
        base = Optional.of(BaseModels.base(start, checkpoint));
      }
    }
    try (LocalCheckpoint files = checkpoints().openDescription(start)) {
      return new Publisher(
          JobSettings.store(config),
          JobSettings.kafka(config),
          CarriedFiles.read(files.directory()),
          base,
          copies());
    }
  }
}

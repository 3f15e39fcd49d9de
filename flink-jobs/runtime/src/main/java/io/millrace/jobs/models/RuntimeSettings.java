package io.millrace.jobs.models;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.model.checkpoint.CarriedFiles;
import io.millrace.model.llama.ActivationMemory;
import io.millrace.model.tensor.Backend;
import java.io.IOException;
import java.io.Serializable;

/** A configuration on its way to the task managers, and what operators make of it there. */
public final class RuntimeSettings implements Serializable {

  private static final long serialVersionUID = 1;

  private final MillraceConfig config;

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

  /** Checkpoints of any place as directories of this machine. */
  public CheckpointCache checkpoints() {
    return JobSettings.cache(config);
  }

  /** The policy that the job starts from, without its weights where those lie elsewhere. */
  public LocalCheckpoint describeInitial() throws IOException {
    return checkpoints().openDescription(config.model().initial());
  }

  /** The policy that the job starts from. */
  public PolicyModel initialPolicy(Backend backend) throws IOException {
    return PolicyModel.load(backend, checkpoints(), config.model().initial());
  }

  /** Consumer groups of the jobs. */
  public ConsumerGroups consumerGroups() {
    return new ConsumerGroups(JobSettings.kafka(config));
  }

  public Publisher publisher() throws IOException {
    try (LocalCheckpoint initial = describeInitial()) {
      return new Publisher(
          JobSettings.store(config),
          JobSettings.kafka(config),
          CarriedFiles.read(initial.directory()));
    }
  }
}

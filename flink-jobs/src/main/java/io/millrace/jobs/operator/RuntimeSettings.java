package io.millrace.jobs.operator;

import io.millrace.connectors.checkpoint.CheckpointCache;
import io.millrace.connectors.checkpoint.LocalCheckpoint;
import io.millrace.jobs.JobSettings;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.model.llama.ActivationMemory;
import io.millrace.model.tensor.Backend;
import java.io.IOException;
import java.io.Serializable;

/** A configuration on its way to the task managers, and what operators make of it there. */
final class RuntimeSettings implements Serializable {

  private static final long serialVersionUID = 1;

  private final MillraceConfig config;

  RuntimeSettings(MillraceConfig config) {
    this.config = config;
  }

  MillraceConfig config() {
    return config;
  }

  Backend backend() {
    return config.compute().open();
  }

  /** What training passes keep. */
  ActivationMemory memory() {
    return config.compute().memory();
  }

  /** Checkpoints of any place as directories of this machine. */
  CheckpointCache checkpoints() {
    return JobSettings.cache(config);
  }

  /** The policy that the job starts from, without its weights where those lie elsewhere. */
  LocalCheckpoint describeInitial() throws IOException {
    return checkpoints().openDescription(config.model().initial());
  }

  /** The policy that the job starts from. */
  PolicyModel initialPolicy(Backend backend) throws IOException {
    return PolicyModel.load(backend, checkpoints(), config.model().initial());
  }

  Publisher publisher() {
    return new Publisher(JobSettings.store(config), JobSettings.kafka(config));
  }
}

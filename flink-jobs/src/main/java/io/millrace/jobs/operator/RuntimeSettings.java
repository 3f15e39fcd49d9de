package io.millrace.jobs.operator;

import io.millrace.jobs.JobSettings;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.model.llama.ActivationMemory;
import io.millrace.model.tensor.Backend;
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

  Publisher publisher() {
    return new Publisher(JobSettings.store(config), JobSettings.kafka(config));
  }
}

package io.millrace.jobs;

import io.millrace.jobs.config.MillraceConfig;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** prompts × the latest policy × the latest reward models → policy checkpoints. */
final class RejectionSamplingJob {

  private static final String JOB = "rejection-sampling";

  private RejectionSamplingJob() {}

  static void build(StreamExecutionEnvironment env, MillraceConfig config, boolean bounded) {
    JobInputs.prompts(env, config, JOB, bounded);
    throw new UnsupportedOperationException("rejection sampling is not built yet");
  }
}

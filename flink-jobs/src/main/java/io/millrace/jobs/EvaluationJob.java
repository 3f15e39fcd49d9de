package io.millrace.jobs;

import io.millrace.jobs.config.MillraceConfig;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** policy versions × the latest reward models → figures and promotions. */
final class EvaluationJob {

  private EvaluationJob() {}

  static void build(StreamExecutionEnvironment env, MillraceConfig config, boolean bounded) {
    if (config.evaluation().prompts().isBlank()) {
      throw new IllegalArgumentException(
          "evaluation.prompts must name a file of held-out prompts (JSON Lines)");
    }
    throw new UnsupportedOperationException("job evaluation cannot be run yet");
  }
}

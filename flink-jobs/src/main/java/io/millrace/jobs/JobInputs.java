package io.millrace.jobs;

import io.millrace.connectors.flink.Deduplicate;
import io.millrace.connectors.flink.RecordCheck;
import io.millrace.connectors.flink.Sources.Start;
import io.millrace.connectors.flink.Streams;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.operator.JudgmentCheck;
import io.millrace.jobs.operator.LengthCheck;
import io.millrace.jobs.operator.RolloutCheck;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** What jobs learn from or answer: read, validated and without duplicates. */
final class JobInputs {

  private JobInputs() {}

  /** In the topic's order at any parallelism, where it has one partition. */
  static DataStream<Judgment> judgments(
      StreamExecutionEnvironment env, MillraceConfig config, String job, boolean bounded) {
    return unique(
        env, config, Topic.JUDGMENTS, job, Start.EARLIEST, bounded, new JudgmentCheck(config), 1);
  }

  /**
   * @param start where a run begins that has no state
   */
  static DataStream<Prompt> prompts(
      StreamExecutionEnvironment env,
      MillraceConfig config,
      String job,
      Start start,
      boolean bounded) {
    return unique(
        env,
        config,
        Topic.PROMPTS,
        job,
        start,
        bounded,
        LengthCheck.prompts(config),
        config.flink().parallelism());
  }

  static DataStream<Rollout> rollouts(
      StreamExecutionEnvironment env, MillraceConfig config, String job, boolean bounded) {
    return unique(
        env,
        config,
        Topic.ROLLOUTS,
        job,
        Start.EARLIEST,
        bounded,
        new RolloutCheck(config),
        config.flink().parallelism());
  }

  private static <T extends SpecificRecordBase> DataStream<T> unique(
      StreamExecutionEnvironment env,
      MillraceConfig config,
      Topic<T> topic,
      String job,
      Start start,
      boolean bounded,
      RecordCheck<T> check,
      int parallelism) {
    DataStream<T> valid =
        Streams.read(
            env, JobSettings.kafka(config), topic, job, start, JobSettings.bound(bounded), check);
    return Deduplicate.of(valid, topic, config.dedup().window(), parallelism);
  }
}

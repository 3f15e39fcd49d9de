package io.millrace.jobs;

import io.millrace.connectors.flink.Sources.Start;
import io.millrace.connectors.flink.Streams;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.operator.AnnouncementCheck;
import io.millrace.jobs.operator.RolloutOperator;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** prompts × the latest policy → rollouts. */
final class RolloutJob {

  private static final String JOB = "rollout";

  private RolloutJob() {}

  static void build(StreamExecutionEnvironment env, MillraceConfig config, boolean bounded) {
    KafkaSettings kafka = JobSettings.kafka(config);

    DataStream<Prompt> prompts = JobInputs.prompts(env, config, JOB, Start.COMMITTED, bounded);
    DataStream<PolicyCheckpoint> policies =
        Streams.read(
            env,
            kafka,
            Topic.POLICY_CHECKPOINTS,
            JOB,
            Start.EARLIEST,
            JobSettings.bound(bounded),
            AnnouncementCheck.policies(config));

    DataStream<Rollout> rollouts =
        Edges.toAny(prompts)
            .connect(
                Edges.toAll(
                    policies, config.flink().parallelism(), Topic.POLICY_CHECKPOINTS.name()))
            .transform(
                "rollout", new AvroTypeInfo<>(Rollout.class), new RolloutOperator(config, bounded))
            .uid("rollout");

    Streams.write(rollouts, kafka, Topic.ROLLOUTS, JOB);
  }
}

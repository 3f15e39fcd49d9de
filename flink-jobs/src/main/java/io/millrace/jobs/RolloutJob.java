package io.millrace.jobs;

import io.millrace.connectors.kafka.Check;
import io.millrace.connectors.kafka.KafkaStreams;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.operator.LengthCheck;
import io.millrace.jobs.operator.RolloutOperator;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** prompts × the latest policy → rollouts. */
final class RolloutJob {

  private RolloutJob() {}

  static void build(StreamExecutionEnvironment env, MillraceConfig config, boolean bounded) {
    KafkaStreams kafka = JobSettings.kafka(env, config, "rollout", bounded);

    DataStream<Prompt> prompts =
        kafka.read(
            Prompt.class,
            LengthCheck.prompts(config.model().initial(), config.rollout().maxPromptTokens()));
    DataStream<PolicyCheckpoint> policies = kafka.read(PolicyCheckpoint.class, Check.none());

    DataStream<Rollout> rollouts =
        prompts
            .connect(policies.broadcast())
            .transform(
                "rollout", new AvroTypeInfo<>(Rollout.class), new RolloutOperator(config, bounded))
            .uid("rollout");

    kafka.write(rollouts, Rollout.class);
  }
}

package io.millrace.jobs.runtime;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.flink.Deduplicate;
import io.millrace.connectors.flink.Streams;
import io.millrace.connectors.flink.TopicInput;
import io.millrace.connectors.flink.checkpoint.CheckpointSink;
import io.millrace.connectors.flink.decode.DeadLetters;
import io.millrace.connectors.flink.decode.RecordCheck;
import io.millrace.connectors.flink.source.DemonstrationFile;
import io.millrace.connectors.flink.source.Sources.Start;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Topic;
import java.time.Clock;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * What a job's topology is built with: topics as streams, and the sinks of trainers.
 *
 * @param job the job's name, part of its consumer group and transactional ids
 * @param config the shared sections and those of the job
 * @param bounded whether the job stops at the end of its topics
 * @param tap puts operators of the caller's on the edges into trainers
 */
public record JobContext(
    StreamExecutionEnvironment env,
    String job,
    MillraceConfig config,
    boolean bounded,
    EdgeTap tap) {

  public <T extends ConfigSection> T section(Class<T> type) {
    return config.section(type);
  }

  public int parallelism() {
    return config.flink().parallelism();
  }

  private KafkaSettings kafka() {
    return JobSettings.kafka(config);
  }

  /** The valid records of a topic that pass a check, from the topic's first record. */
  public <T extends SpecificRecordBase> DataStream<T> read(Topic<T> topic, RecordCheck<T> check) {
    return input(topic, Start.EARLIEST, check).read(env);
  }

  private <T extends SpecificRecordBase> TopicInput<T> input(
      Topic<T> topic, Start start, RecordCheck<T> check) {
    return TopicInput.of(topic)
        .kafka(kafka())
        .job(job)
        .start(start)
        .bound(JobSettings.bound(bounded))
        .check(check);
  }

  /**
   * The valid records of a topic that pass a check, each id once within {@code dedup.window}. The
   * job's operators may hold the source ({@link SourceHold}).
   *
   * @param start where a run begins that has no state
   * @param parallelism of the operator that drops duplicates; 1 keeps the order of a topic with one
   *     partition
   */
  public <T extends SpecificRecordBase> DataStream<T> readOnce(
      Topic<T> topic, Start start, RecordCheck<T> check, int parallelism) {
    return Deduplicate.of(
        input(topic, start, check).holdable().read(env),
        topic,
        config.dedup().window(),
        parallelism);
  }

  /** The demonstrations of a JSON Lines file that pass a check. */
  public DataStream<Demonstration> readLines(
      DemonstrationFile file, RecordCheck<Demonstration> check) {
    return Streams.readLines(env, kafka(), file, job, check);
  }

  /** An operator that keeps records of people, and gets the withdrawals of such records. */
  public <O extends BackgroundOperator<?>> O withdrawing(O operator) {
    operator.readWithdrawals(kafka());
    return operator;
  }

  /** The records on the edge into a trainer, see {@link EdgeTap}. */
  public <T> DataStream<T> tapped(String operator, DataStream<T> records) {
    return tap.at(operator, records);
  }

  /** Writes a stream to its topic, exactly once. */
  public <T extends SpecificRecordBase> void write(DataStream<T> records, Topic<T> topic) {
    Streams.write(records, kafka(), topic, job);
  }

  /**
   * Writes the records that an operator refused to the dead letters.
   *
   * @param refused each with the reason, for the count, and a message
   * @param operator its uid
   */
  public <T extends SpecificRecordBase> void refuse(
      DataStream<Tuple3<T, String, String>> refused, Topic<T> topic, String operator) {
    Streams.refuse(refused, topic, operator, new DeadLetters(job, kafka(), Clock.systemUTC()));
  }

  /** Writes an operator's training metrics to their topic. */
  public void writeMetrics(SingleOutputStreamOperator<?> operator) {
    write(operator.getSideOutput(Outputs.METRICS), Topic.TRAINING_METRICS);
  }

  /** Writes to its topic what the versions of trainers learned from. */
  public void writeLineage(SingleOutputStreamOperator<?> operator) {
    write(operator.getSideOutput(Outputs.LINEAGE), Topic.LINEAGE);
  }

  /** Publishes staged checkpoints once the Flink checkpoint that covers them has completed. */
  public void publish(DataStream<StagedCheckpoint> staged) {
    CheckpointSink.attach(
        staged, kafka(), JobSettings.store(config), JobSettings.retention(config), job);
  }
}

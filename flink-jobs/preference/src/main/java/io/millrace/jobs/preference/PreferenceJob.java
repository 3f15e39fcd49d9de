package io.millrace.jobs.preference;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.flink.decode.RecordCheck;
import io.millrace.connectors.flink.source.Sources.Start;
import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.models.Opinion;
import io.millrace.jobs.models.Withhold;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.runtime.Edges;
import io.millrace.jobs.runtime.JobContext;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Topic;
import java.util.List;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;

/** Job preference: judgments and feedback → policy checkpoints. */
public final class PreferenceJob {

  /** Configuration sections of the job, beside the shared sections. */
  public static final List<Class<? extends ConfigSection>> SECTIONS =
      List.of(PreferenceSection.class, PpoSection.class);

  private PreferenceJob() {}

  public static void build(JobContext context) {
    DataStream<Opinion> opinions =
        opinions(
            context,
            Topic.JUDGMENTS,
            OpinionCheck.judgments(context.config()),
            Judgment::getDialogue,
            Opinion::of);
    if (!context.section(PreferenceSection.class).loss().isOfPairs()) {
      opinions =
          opinions.union(
              opinions(
                  context,
                  Topic.FEEDBACK,
                  OpinionCheck.feedback(context.config()),
                  Feedback::getDialogue,
                  Opinion::of));
    }
    SingleOutputStreamOperator<StagedCheckpoint> checkpoints =
        Edges.toOne(context.tapped("preference-trainer", opinions))
            .transform(
                "preference trainer",
                TypeInformation.of(StagedCheckpoint.class),
                context.withdrawing(new PreferenceOperator(context.config(), context.bounded())))
            .uid("preference-trainer")
            .setParallelism(1)
            .setMaxParallelism(1);

    context.publish(checkpoints);
    context.writeMetrics(checkpoints);
    context.writeLineage(checkpoints);
  }

  private static <T extends SpecificRecordBase> DataStream<Opinion> opinions(
      JobContext context,
      Topic<T> topic,
      RecordCheck<T> check,
      Withhold.DialogueOf<T> dialogue,
      MapFunction<T, Opinion> opinion) {
    // Parallelism 1 keeps the order of a topic with one partition.
    DataStream<T> records = context.readOnce(topic, Start.EARLIEST, check, 1);
    return Withhold.from(records, topic, context.section(PpoSection.class).heldOutShare(), dialogue)
        .map(opinion)
        .returns(TypeInformation.of(Opinion.class))
        .name("opinions of " + topic.name())
        .uid("opinions-" + topic.name())
        .setParallelism(1);
  }
}

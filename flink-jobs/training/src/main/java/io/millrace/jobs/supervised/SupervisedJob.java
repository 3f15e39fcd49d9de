package io.millrace.jobs.supervised;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.flink.source.DemonstrationFile;
import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.models.LengthCheck;
import io.millrace.jobs.models.Withhold;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.runtime.Edges;
import io.millrace.jobs.runtime.JobContext;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;

/** Job supervised: demonstrations from the topic or from a file → policy checkpoints. */
public final class SupervisedJob {

  /** Configuration sections of the job, beside the shared sections. */
  public static final List<Class<? extends ConfigSection>> SECTIONS =
      List.of(SupervisedSection.class, PpoSection.class);

  private SupervisedJob() {}

  public static void build(JobContext context) {
    SingleOutputStreamOperator<StagedCheckpoint> checkpoints =
        Edges.toOne(
                context.tapped(
                    "supervised-trainer",
                    Withhold.from(
                        demonstrations(context),
                        Topic.DEMONSTRATIONS,
                        context.section(PpoSection.class).heldOutShare(),
                        Demonstration::getDialogue)))
            .transform(
                "supervised trainer",
                TypeInformation.of(StagedCheckpoint.class),
                context.withdrawing(new SupervisedOperator(context.config(), context.bounded())))
            .uid("supervised-trainer")
            .setParallelism(1)
            .setMaxParallelism(1);

    context.publish(checkpoints);
    context.writeMetrics(checkpoints);
    context.writeLineage(checkpoints);
  }

  private static DataStream<Demonstration> demonstrations(JobContext context) {
    SupervisedSection section = context.section(SupervisedSection.class);
    LengthCheck<Demonstration> check = DemonstrationExamples.lengthCheck(context.config());
    if (!section.fromFile()) {
      return context.read(Topic.DEMONSTRATIONS, check);
    }
    try {
      return context.readLines(
          DemonstrationFile.open(
              Path.of(section.file()), section.epochs(), context.config().model().seed()),
          check);
    } catch (IOException e) {
      throw new UncheckedIOException("supervised.file cannot be read: " + e.getMessage(), e);
    }
  }
}

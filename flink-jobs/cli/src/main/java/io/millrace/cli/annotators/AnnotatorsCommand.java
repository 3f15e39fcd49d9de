package io.millrace.cli.annotators;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.jobs.rewardmodel.RewardModelOperator;
import io.millrace.schemas.Printable;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace annotators}. */
@Command(
    name = "annotators",
    mixinStandardHelpOptions = true,
    description = {
      "Prints how reliable annotators and sources of judgments are, as of each reward model's"
          + " newest version in training-metrics.",
      "Reliability is the probability of naming the better response, weight what a judgment counts"
          + " in the loss with annotators.weighting=reliability, first the share of choices of"
          + " response A beyond what the reward model expects.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace annotators",
      "  millrace annotators --json --bootstrap-servers kafka:9092",
    })
public final class AnnotatorsCommand implements Callable<Integer> {

  private static final int NAME_CHARACTERS = 40;

  @Option(names = "--json", description = "Print one JSON object for each annotator and source.")
  private boolean json;

  @Mixin private KafkaOptions kafka;

  @Override
  public Integer call() throws IOException {
    KafkaSettings settings = kafka.settings();
    kafka.requireListener(settings);
    Map<String, TrainingMetrics> latest = new TreeMap<>();
    try (RecordReader<TrainingMetrics> reader =
        RecordReader.fromEarliest(settings, Topic.TRAINING_METRICS)) {
      reader.readToEnd(
          entry ->
              entry
                  .record()
                  .filter(RewardModelOperator::isOfAnnotators)
                  .ifPresent(metrics -> latest.put(metrics.getJob(), metrics)));
    }
    if (latest.isEmpty()) {
      throw new UserException(
          ("%s has no metrics of annotators: the job reward-model writes them with each version"
                  + " that it publishes; start it, or wait for its next version")
              .formatted(settings.nameOf(Topic.TRAINING_METRICS)));
    }
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    for (TrainingMetrics metrics : latest.values()) {
      if (json) {
        printJson(out, metrics);
      } else {
        print(out, metrics);
      }
    }
    out.flush();
    return 0;
  }

  private static void printJson(PrintStream out, TrainingMetrics metrics) {
    for (AnnotatorRow row : AnnotatorRow.of(metrics)) {
      ObjectNode object = new ObjectMapper().createObjectNode();
      object.put("job", metrics.getJob());
      object.put("version", metrics.getStep());
      object.put("time", metrics.getTime().toString());
      object.put("kind", row.kind());
      object.put("name", row.name());
      row.values().forEach(object::put);
      out.println(object);
    }
  }

  private static void print(PrintStream out, TrainingMetrics metrics) {
    out.printf(
        "%s, version %d, %s%n",
        Printable.line(metrics.getJob()), metrics.getStep(), metrics.getTime());
    List<AnnotatorRow> rows = AnnotatorRow.of(metrics);
    int width = rows.stream().mapToInt(row -> shown(row).length()).max().orElse(0);
    String kind = "";
    for (AnnotatorRow row : rows) {
      if (!row.kind().equals(kind)) {
        kind = row.kind();
        out.printf(
            "  %-" + Math.max(width, kind.length()) + "s  judgments  reliability  weight  first%n",
            kind);
      }
      out.printf(
          Locale.ROOT,
          "  %-" + Math.max(width, kind.length()) + "s  %9.0f  %11.2f  %6.2f  %+5.2f  %s%n",
          shown(row),
          row.value("judgments"),
          row.value("reliability"),
          row.value("weight"),
          row.value("position_bias"),
          row.notice());
    }
  }

  private static String shown(AnnotatorRow row) {
    String name = row.name().isEmpty() ? "(none)" : Printable.line(row.name());
    return name.length() <= NAME_CHARACTERS ? name : name.substring(0, NAME_CHARACTERS - 1) + "…";
  }
}

package io.millrace.cli.erase;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.erasure.AffectedVersions;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.schemas.Printable;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.avro.specific.SpecificRecordBase;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code millrace lineage}. */
@Command(
    name = "lineage",
    mixinStandardHelpOptions = true,
    description = {
      "Prints the published versions that have learned from a record: the versions that learned"
          + " from it themselves, the policies that learned from scores of such a reward model, and"
          + " all versions whose training started from one of these.",
      "The topic lineage has the ids; kafka.* and checkpoints.directory of the configuration say"
          + " where topics and versions are.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace lineage j17 --config millrace.yaml",
      "  millrace lineage prompt-4 --bootstrap-servers kafka:9092 --json",
    })
public final class LineageCommand implements Callable<Integer> {

  private static final List<Topic<?>> TOPICS =
      List.of(Topic.JUDGMENTS, Topic.FEEDBACK, Topic.DEMONSTRATIONS, Topic.PROMPTS);

  @Parameters(
      paramLabel = "ID",
      description = "Id of a judgment, feedback, a demonstration or a prompt.")
  private String id;

  @Option(names = "--json", description = "Print one JSON object.")
  private boolean json;

  @Mixin private DeploymentOptions deployment;

  @Override
  public Integer call() throws IOException {
    if (id.isBlank()) {
      throw new UserException(
          "ID is empty; give the id of a judgment, feedback, demonstration or prompt");
    }
    MillraceConfig config = deployment.load();
    AffectedVersions versions = AffectedVersions.of(config, Set.of(id));
    Optional<Topic<?>> unlearned =
        versions.isEmpty() ? Optional.of(topicOf(config, versions)) : Optional.empty();
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    if (json) {
      ObjectNode node = new ObjectMapper().createObjectNode();
      node.put("id", id);
      node.set("versions", versions.json());
      node.set("incomplete", versions.incompleteJson());
      out.println(node);
    } else if (unlearned.isPresent()) {
      out.printf(
          "no published version has learned from %s, a record of %s%n",
          Printable.line(id), unlearned.get());
      versions
          .graph()
          .incomplete()
          .forEach(
              (version, count) ->
                  out.printf(
                      "%s may have: the ids of %d records that it learned from are not listed%n",
                      Printable.line(version.toString()), count));
    } else {
      versions.print(out);
    }
    out.flush();
    return 0;
  }

  /**
   * The topic of a record that no version has learned from.
   *
   * @throws UserException if no topic has such a record
   */
  private Topic<?> topicOf(MillraceConfig config, AffectedVersions versions) throws IOException {
    KafkaSettings kafka = JobSettings.kafka(config);
    for (Topic<?> topic : TOPICS) {
      if (has(kafka, topic)) {
        return topic;
      }
    }
    throw new UserException(
        "no record has the id '%s': it is neither in %s, %s or %s, nor among the ids of the %d versions in %s, of Kafka at %s; millrace consume prints the ids of a topic"
            .formatted(
                id,
                kafka.nameOf(Topic.JUDGMENTS),
                kafka.nameOf(Topic.DEMONSTRATIONS),
                kafka.nameOf(Topic.PROMPTS),
                versions.graph().versions(),
                kafka.nameOf(Topic.LINEAGE),
                kafka.bootstrapServers()));
  }

  private <T extends SpecificRecordBase> boolean has(KafkaSettings kafka, Topic<T> topic)
      throws IOException {
    AtomicBoolean found = new AtomicBoolean();
    try (RecordReader<T> reader = RecordReader.fromEarliest(kafka, topic)) {
      long _ =
          reader.readToEnd(
              entry -> {
                if (entry.record().filter(record -> topic.keyOf(record).equals(id)).isPresent()) {
                  found.set(true);
                }
              });
    }
    return found.get();
  }
}

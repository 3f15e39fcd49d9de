package io.millrace.report;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.report.RunData.DeadLetters;
import io.millrace.report.RunData.Labelled;
import io.millrace.report.RunData.Line;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.apache.avro.specific.SpecificRecordBase;

/** A Kafka on which jobs run, or have run. */
final class KafkaSource {

  private final KafkaSettings kafka;
  private final Set<Topic<?>> there;
  private final RunData run;

  private KafkaSource(KafkaSettings kafka, Set<Topic<?>> there, RunData run) {
    this.kafka = kafka;
    this.there = there;
    this.run = run;
  }

  /**
   * Reads its topics to their ends.
   *
   * @throws IOException also when it has none of Millrace's topics
   */
  static RunData read(KafkaSettings kafka) throws IOException {
    List<TopicAdmin.State> topics;
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      topics = admin.describe();
    }
    if (topics.isEmpty()) {
      throw new IOException(
          "Kafka at %s has no topic that begins with '%s'; is --topic-prefix right?"
              .formatted(kafka.bootstrapServers(), kafka.topicPrefix()));
    }
    RunData run =
        new RunData(
            "Millrace on " + kafka.bootstrapServers(),
            "topics " + kafka.topicPrefix() + "*, as they stand");
    topics.forEach(state -> run.topics.put(state.name() + " (offsets)", state.offsets()));
    KafkaSource source =
        new KafkaSource(
            kafka, topics.stream().map(TopicAdmin.State::topic).collect(Collectors.toSet()), run);
    source.figures();
    source.policies();
    source.rewardModels();
    source.each(Topic.PROMOTIONS, run.promotions::add);
    source.deadLetters();
    return run;
  }

  private <T extends SpecificRecordBase> void each(Topic<T> topic, Consumer<T> sink)
      throws IOException {
    if (there.contains(topic)) {
      try (RecordReader<T> reader = RecordReader.fromEarliest(kafka, topic)) {
        reader.readToEnd(entry -> entry.record().ifPresent(sink));
      }
    }
  }

  private void figures() throws IOException {
    List<TrainingMetrics> figures = new ArrayList<>();
    each(Topic.TRAINING_METRICS, figures::add);
    figures.sort(Comparator.comparing(TrainingMetrics::getTime));
    Curves.add(run, "", figures);
  }

  private void policies() throws IOException {
    Map<String, PolicyCheckpoint> byName = new TreeMap<>();
    each(
        Topic.POLICY_CHECKPOINTS,
        policy -> byName.put("%s v%06d".formatted(policy.getModel(), policy.getVersion()), policy));
    byName
        .values()
        .forEach(
            policy ->
                run.lineage.add(
                    new Line(
                        policy.getModel() + " v" + policy.getVersion(),
                        "",
                        "v" + policy.getVersion(),
                        policy.getUri(),
                        policy.getManifestSha256(),
                        Map.of("rollouts", policy.getRollouts()),
                        0)));
  }

  /** The latest of each objective, as one set. */
  private void rewardModels() throws IOException {
    Map<String, RewardCheckpoint> latest = new TreeMap<>();
    each(
        Topic.REWARD_CHECKPOINTS,
        model -> latest.put(RewardModelSections.name(model.getObjective()), model));
    Map<String, Double> figures = new TreeMap<>();
    latest.forEach(
        (objective, model) ->
            model
                .getMetrics()
                .forEach((name, value) -> figures.put(objective + "/" + name, value)));
    if (!figures.isEmpty()) {
      run.rewardModels.add(new Labelled("latest", figures));
    }
  }

  private record Kind(String topic, String reason) {}

  private void deadLetters() throws IOException {
    Comparator<Kind> order = Comparator.comparing(Kind::topic).thenComparing(Kind::reason);
    Map<Kind, DeadLetter> last = new TreeMap<>(order);
    Map<Kind, Long> counts = new TreeMap<>(order);
    each(
        Topic.DEAD_LETTERS,
        letter -> {
          Kind kind = new Kind(letter.getTopic(), letter.getReason());
          counts.merge(kind, 1L, Long::sum);
          last.put(kind, letter);
        });
    counts.forEach(
        (kind, count) ->
            run.deadLetters.add(
                new DeadLetters(kind.topic(), kind.reason(), count, last.get(kind).getMessage())));
  }
}

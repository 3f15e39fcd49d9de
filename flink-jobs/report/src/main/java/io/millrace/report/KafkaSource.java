package io.millrace.report;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.report.RunData.DeadLetters;
import io.millrace.report.RunData.LabelledMetrics;
import io.millrace.report.RunData.Version;
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

/** Reads the topics of a Kafka on which jobs run or have run. */
final class KafkaSource {

  private final KafkaSettings kafka;
  private final Set<Topic<?>> existing;
  private final RunData run;

  private KafkaSource(KafkaSettings kafka, Set<Topic<?>> existing, RunData run) {
    this.kafka = kafka;
    this.existing = existing;
    this.run = run;
  }

  /**
   * Reads the topics to their current ends.
   *
   * @throws IOException also where Kafka has no topic of Millrace
   */
  static RunData read(KafkaSettings kafka) throws IOException {
    List<TopicAdmin.State> topics;
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      topics = admin.describe();
    }
    if (topics.isEmpty()) {
      throw new IOException(
          "Kafka at %s has no topic whose name begins with '%s'; check --topic-prefix"
              .formatted(kafka.bootstrapServers(), kafka.topicPrefix()));
    }
    RunData run =
        new RunData(
            "Millrace on " + kafka.bootstrapServers(), "topics " + kafka.topicPrefix() + "*");
    topics.forEach(state -> run.topics.put(state.name() + " (offsets)", state.offsets()));
    KafkaSource source =
        new KafkaSource(
            kafka, topics.stream().map(TopicAdmin.State::topic).collect(Collectors.toSet()), run);
    source.metrics();
    source.policies();
    source.rewardModels();
    source.each(Topic.REWARDS, run.rewards::add);
    source.each(Topic.PROMOTIONS, run.promotions::add);
    source.deadLetters();
    return run;
  }

  private <T extends SpecificRecordBase> void each(Topic<T> topic, Consumer<T> sink)
      throws IOException {
    if (existing.contains(topic)) {
      try (RecordReader<T> reader = RecordReader.fromEarliest(kafka, topic)) {
        reader.readToEnd(entry -> entry.record().ifPresent(sink));
      }
    }
  }

  private void metrics() throws IOException {
    List<TrainingMetrics> metrics = new ArrayList<>();
    each(Topic.TRAINING_METRICS, metrics::add);
    metrics.sort(Comparator.comparing(TrainingMetrics::getTime));
    Curves.add(run, "", metrics);
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
                run.versions.add(
                    new Version(
                        policy.getModel() + " v" + policy.getVersion(),
                        "",
                        "v" + policy.getVersion(),
                        policy.getUri(),
                        policy.getManifestSha256(),
                        Map.of("rollouts", policy.getRollouts()),
                        0)));
  }

  /** Takes the newest reward model of each objective that PPO optimises, both under one label. */
  private void rewardModels() throws IOException {
    Map<String, RewardCheckpoint> latest = new TreeMap<>();
    each(
        Topic.REWARD_CHECKPOINTS,
        model -> {
          if (!model.getJudge()) {
            latest.put(RewardModelSections.name(model.getObjective()), model);
          }
        });
    Map<String, Double> metrics = new TreeMap<>();
    latest.forEach(
        (objective, model) ->
            model
                .getMetrics()
                .forEach((name, value) -> metrics.put(objective + "/" + name, value)));
    if (!metrics.isEmpty()) {
      run.rewardModels.add(new LabelledMetrics("latest", metrics));
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

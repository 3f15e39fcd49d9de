package io.millrace.console.watch;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.console.tail.TopicTail;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.avro.specific.SpecificRecordBase;

/** What the page shows of a deployment, from its topics. */
public final class Watch implements AutoCloseable {

  private static final int MOST_STEPS = 5000;
  private static final int STEPS_A_RESPONSE = 1000;
  private static final int MOST_VERSIONS = 500;

  private final Clock clock;
  private final Deque<Step> steps = new ArrayDeque<>();
  private final Map<Long, ObjectNode> versions = new TreeMap<>();
  private final Rates rates = new Rates();
  private final DeadLetters letters;
  private final Lags lags;
  private final Alerts alerts = new Alerts();
  private final List<TopicTail<?>> tails = new ArrayList<>();
  private long numbered;

  private record Step(long number, TrainingMetrics content) {}

  /**
   * @param groups consumer groups of the jobs
   * @param since the first time that is shown
   */
  public Watch(KafkaSettings kafka, List<String> groups, Instant since, Clock clock) {
    this.clock = clock;
    this.letters = new DeadLetters(kafka);
    this.lags = new Lags(kafka, groups);
    tails.add(
        new TopicTail<>(kafka, Topic.TRAINING_METRICS, since, entry -> add(entry.record().get())));
    tails.add(
        new TopicTail<>(
            kafka, Topic.POLICY_CHECKPOINTS, since, entry -> add(entry.record().get())));
    tails.add(new TopicTail<>(kafka, Topic.PROMOTIONS, since, entry -> add(entry.record().get())));
    tails.add(new TopicTail<>(kafka, Topic.DEAD_LETTERS, since, letters::add));
    tails.add(new TopicTail<>(kafka, Topic.JUDGMENTS, since, entry -> count("judgments", entry)));
    tails.add(new TopicTail<>(kafka, Topic.ROLLOUTS, since, entry -> count("rollouts", entry)));
  }

  private void count(String name, RecordReader.Entry<? extends SpecificRecordBase> entry) {
    rates.add(name, entry.timestamp());
  }

  private synchronized void add(TrainingMetrics metrics) {
    steps.addLast(new Step(++numbered, metrics));
    if (steps.size() > MOST_STEPS) {
      steps.removeFirst();
    }
    alerts.add(metrics);
  }

  private ObjectNode version(long number) {
    while (versions.size() > MOST_VERSIONS) {
      versions.remove(versions.keySet().iterator().next());
    }
    return versions.computeIfAbsent(
        number, each -> JsonNodeFactory.instance.objectNode().put("version", each));
  }

  private synchronized void add(PolicyCheckpoint checkpoint) {
    version(checkpoint.getVersion())
        .put("model", checkpoint.getModel())
        .put("time", checkpoint.getTime().toString())
        .put("step", checkpoint.getStep())
        .put("rollouts", checkpoint.getRollouts());
  }

  private synchronized void add(Promotion promotion) {
    ObjectNode node =
        version(promotion.getEvaluated())
            .put("verdict", promotion.getVerdict().name())
            .put(
                "by",
                promotion.getDecidedBy().isEmpty()
                    ? promotion.getJudge()
                    : promotion.getDecidedBy())
            .put("serves", promotion.getVersion());
    ArrayNode reasons = node.putArray("reasons");
    promotion.getReasons().forEach(reasons::add);
  }

  /**
   * Steps of the jobs after one that the page has, the oldest first.
   *
   * @param after number of the last step that the page has; 0 for none
   */
  public synchronized ObjectNode metrics(long after) {
    ObjectNode body = JsonNodeFactory.instance.objectNode();
    ArrayNode list = body.putArray("steps");
    long last = after;
    for (Step step : steps) {
      if (step.number() > after && list.size() < STEPS_A_RESPONSE) {
        ObjectNode node =
            list.addObject()
                .put("job", step.content().getJob())
                .put("step", step.content().getStep())
                .put("time", step.content().getTime().toEpochMilli());
        ObjectNode values = node.putObject("metrics");
        step.content()
            .getMetrics()
            .forEach(
                (name, value) -> {
                  // JSON has no NaN.
                  if (Double.isFinite(value)) {
                    values.put(name, value);
                  }
                });
        last = step.number();
      }
    }
    return body.put("last", last).put("more", last < numbered);
  }

  /** Versions, rates, lag and alerts. */
  public ObjectNode state() {
    ObjectNode body = JsonNodeFactory.instance.objectNode();
    body.set("lag", lags.get());
    body.put("dead_letters", letters.count());
    synchronized (this) {
      Instant now = clock.instant();
      body.put("time", now.toString());
      ObjectNode minute = body.putObject("last_minute");
      for (String name : new String[] {"judgments", "rollouts"}) {
        minute.put(name, rates.since(name, now.minus(Duration.ofMinutes(1))));
      }
      ArrayNode list = body.putArray("versions");
      versions.values().forEach(version -> list.insert(0, version.deepCopy()));
      ArrayNode raised = body.putArray("alerts");
      alerts.texts().forEach(raised::add);
    }
    return body;
  }

  /** The latest dead letters whose topic, job, reason or message has a text. */
  public ObjectNode deadLetters(String search) {
    return letters.list(search);
  }

  /** The record of a dead letter, by the place of the letter. */
  public ObjectNode record(String place) {
    return letters.record(place);
  }

  @Override
  public void close() {
    tails.forEach(TopicTail::close);
  }
}

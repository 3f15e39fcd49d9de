package io.millrace.jobs.evaluation;

import io.millrace.connectors.flink.decode.RecordCheck;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.jobs.models.ModelRef;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Topic;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.Verdict;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.avro.reflect.AvroDefault;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The served version, and the versions served before it that a rollback can return to. */
final class PromotionChain {

  private static final Logger LOG = LoggerFactory.getLogger(PromotionChain.class);

  /** Maximum number of versions, with the served one. */
  private static final int LENGTH = 4;

  /** Maximum number of decisions that the chain knows again. */
  private static final int DECISIONS = 100;

  private final List<ModelRef> served;

  private final long judged;

  /** The version that the last record names as served before; 0 for none. */
  private long before;

  /** Ids of the latest decisions of persons. */
  private final List<String> decisions;

  private PromotionChain(List<ModelRef> served, long judged, List<String> decisions) {
    this.served = new ArrayList<>(served);
    this.judged = judged;
    this.decisions = new ArrayList<>(decisions);
  }

  static PromotionChain empty() {
    return new PromotionChain(List.of(), 0, List.of());
  }

  /**
   * Reads earlier runs' promotions from the topic. A new run continues from them instead of
   * promoting an old version. A compacted topic has only the last promotion.
   */
  static PromotionChain of(KafkaSettings kafka, String model) throws IOException {
    return of(kafka, model, record -> {});
  }

  /**
   * As {@link #of(KafkaSettings, String)}.
   *
   * @param check refuses records that the chain must not follow; they are logged
   */
  static PromotionChain of(KafkaSettings kafka, String model, RecordCheck<Promotion> check)
      throws IOException {
    List<Promotion> records = new ArrayList<>();
    try (RecordReader<Promotion> reader = RecordReader.fromEarliest(kafka, Topic.PROMOTIONS)) {
      reader.readToEnd(
          entry ->
              entry
                  .record()
                  .filter(record -> record.getModel().equals(model))
                  .filter(record -> isUsable(record, check))
                  .ifPresent(records::add));
    }
    return of(records);
  }

  private static boolean isUsable(Promotion record, RecordCheck<Promotion> check) {
    try {
      check.check(record);
      return true;
    } catch (UnusableRecordException e) {
      LOG.warn(
          "The promotion of version {} of {} does not count: {}",
          record.getVersion(),
          record.getModel(),
          e.getMessage());
      return false;
    }
  }

  /** The chain after these promotions. */
  static PromotionChain of(List<Promotion> records) {
    PromotionChain chain = empty();
    long judged = 0;
    for (Promotion record : records) {
      if (isDecision(record)) {
        chain.remember(record.getDecisionId());
      } else {
        judged = Math.max(judged, record.getEvaluated());
      }
      chain.follow(record);
    }
    PromotionChain whole = new PromotionChain(chain.served, judged, chain.decisions);
    whole.before = records.isEmpty() ? 0 : records.getLast().getBefore();
    return whole;
  }

  /** Whether a record is a person's decision, or the gate's confirmation of it. */
  static boolean isDecision(Promotion record) {
    return !record.getDecisionId().isEmpty();
  }

  /**
   * Serves what a person has decided.
   *
   * @return false if the chain followed this decision before
   */
  boolean decide(Promotion decision) {
    if (decisions.contains(decision.getDecisionId())) {
      return false;
    }
    remember(decision.getDecisionId());
    follow(decision);
    return true;
  }

  private void remember(String decision) {
    decisions.remove(decision);
    decisions.add(decision);
    if (decisions.size() > DECISIONS) {
      decisions.removeFirst();
    }
  }

  private void follow(Promotion record) {
    if (record.getVersion() == 0) {
      return;
    }
    ModelRef version =
        new ModelRef(record.getVersion(), record.getUri(), record.getManifestSha256());
    // A person may return to a version that the chain does not know; the chain stays then.
    if (record.getVerdict() == Verdict.ROLL_BACK && contains(version.version())) {
      while (!isServed(version.version())) {
        served.removeLast();
      }
    }
    if (!isServed(version.version())) {
      promote(version);
    }
  }

  /** Whether a version is the one to serve. */
  boolean isServed(long version) {
    return current().filter(current -> current.version() == version).isPresent();
  }

  void promote(ModelRef version) {
    remove(version.version());
    served.addLast(version);
    if (served.size() > LENGTH) {
      served.removeFirst();
    }
  }

  /** The version to serve. */
  Optional<ModelRef> current() {
    return served.isEmpty() ? Optional.empty() : Optional.of(served.getLast());
  }

  /** The version served before it. */
  Optional<ModelRef> before() {
    return served.size() < 2 ? Optional.empty() : Optional.of(served.get(served.size() - 2));
  }

  /**
   * The number of the version served before, as the topic's last record says. A compacted topic has
   * no more of that version.
   */
  Optional<Long> lastBefore() {
    return before == 0 ? Optional.empty() : Optional.of(before);
  }

  /** Returns to the version served before. */
  void rollBack() {
    served.removeLast();
  }

  /** Removes a version that the store has deleted. */
  void remove(long version) {
    served.removeIf(one -> one.version() == version);
  }

  /** All versions, the served one last. */
  List<ModelRef> versions() {
    return List.copyOf(served);
  }

  boolean contains(long version) {
    return served.stream().anyMatch(one -> one.version() == version);
  }

  /** The highest version with a verdict of an earlier run; 0 if there is none. */
  long judged() {
    return judged;
  }

  record State(List<ModelRef> served, long judged, @AvroDefault("[]") List<String> decisions) {}

  State state() {
    return new State(versions(), judged, List.copyOf(decisions));
  }

  static PromotionChain of(State state) {
    return new PromotionChain(state.served(), state.judged(), state.decisions());
  }
}

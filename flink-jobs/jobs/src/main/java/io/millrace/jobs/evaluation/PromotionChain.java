package io.millrace.jobs.evaluation;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.jobs.models.ModelRef;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Verdict;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The served version, and the versions served before it that a rollback can return to. */
final class PromotionChain {

  /** Maximum number of versions, with the served one. */
  private static final int LENGTH = 4;

  private final List<ModelRef> served;

  private final long judged;

  private PromotionChain(List<ModelRef> served, long judged) {
    this.served = served;
    this.judged = judged;
  }

  static PromotionChain empty() {
    return new PromotionChain(new ArrayList<>(), 0);
  }

  /**
   * Reads earlier runs' promotions from the topic. A new run continues from them instead of
   * promoting an old version. A compacted topic has only the last promotion.
   */
  static PromotionChain of(KafkaSettings kafka, String model) throws IOException {
    List<Promotion> records = new ArrayList<>();
    try (RecordReader<Promotion> reader = RecordReader.fromEarliest(kafka, Topic.PROMOTIONS)) {
      reader.readToEnd(
          entry ->
              entry
                  .record()
                  .filter(record -> record.getModel().equals(model))
                  .ifPresent(records::add));
    }
    return of(records);
  }

  /** The chain after these promotions. */
  static PromotionChain of(List<Promotion> records) {
    PromotionChain chain = empty();
    long judged = 0;
    for (Promotion record : records) {
      judged = Math.max(judged, record.getEvaluated());
      if (record.getVersion() == 0) {
        continue;
      }
      ModelRef version =
          new ModelRef(record.getVersion(), record.getUri(), record.getManifestSha256());
      if (record.getVerdict() == Verdict.ROLL_BACK) {
        while (chain.current().isPresent() && !chain.isServed(version.version())) {
          chain.served.removeLast();
        }
      }
      if (!chain.isServed(version.version())) {
        chain.promote(version);
      }
    }
    return new PromotionChain(chain.served, judged);
  }

  private boolean isServed(long version) {
    return current().filter(current -> current.version() == version).isPresent();
  }

  void promote(ModelRef version) {
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

  record State(List<ModelRef> served, long judged) {}

  State state() {
    return new State(versions(), judged);
  }

  static PromotionChain of(State state) {
    return new PromotionChain(new ArrayList<>(state.served()), state.judged());
  }
}

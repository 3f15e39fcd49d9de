package io.millrace.jobs.evaluation;

import io.millrace.connectors.flink.decode.RecordCheck;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.AnnouncementCheck;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Topic;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.Verdict;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.apache.avro.reflect.AvroDefault;
import org.apache.avro.reflect.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The served version, and the versions served before it that a rollback can return to. */
final class PromotionChain {

  private static final Logger LOG = LoggerFactory.getLogger(PromotionChain.class);

  /** Maximum number of versions, with the served one. */
  private static final int LENGTH = 4;

  /** Maximum number of ids of decisions that a running job remembers. */
  private static final int DECISIONS = 100;

  private final List<ModelRef> served;

  private final long judged;

  /** The version that the topic's last record names as served before; 0 for none. */
  private long lastRecordBefore;

  /** Ids of decisions of persons, the latest last. */
  private final List<String> decisions;

  /** The version that was shown to be better than all promoted before it; null before the first. */
  private ModelRef best;

  private GateCounters counters = GateCounters.ZERO;

  private PromotionChain(List<ModelRef> served, long judged, List<String> decisions) {
    this.served = new ArrayList<>(served);
    this.judged = judged;
    this.decisions = new ArrayList<>(decisions);
  }

  static PromotionChain empty() {
    return new PromotionChain(List.of(), 0, List.of());
  }

  /**
   * Reads the promotions of the configured policy from the topic. A new run continues from them
   * instead of promoting an old version. A compacted topic may have only the last promotion.
   * Records that {@link AnnouncementCheck#promotions} refuses are logged and do not count.
   */
  static PromotionChain of(MillraceConfig config) throws IOException {
    return of(config, _ -> {});
  }

  /**
   * As {@link #of(MillraceConfig)}.
   *
   * @param notice gets one sentence if records do not count
   */
  static PromotionChain of(MillraceConfig config, Consumer<String> notice) throws IOException {
    String model = config.model().name();
    List<UnusableRecordException> refused = new ArrayList<>();
    List<Promotion> records = new ArrayList<>();
    AnnouncementCheck<Promotion> check = AnnouncementCheck.promotions(config);
    check.open();
    try (RecordReader<Promotion> reader =
        RecordReader.fromEarliest(JobSettings.kafka(config), Topic.PROMOTIONS)) {
      reader.readToEnd(
          entry ->
              entry
                  .record()
                  .filter(record -> record.getModel().equals(model))
                  .filter(record -> isUsable(record, check, refused))
                  .ifPresent(records::add));
    } finally {
      check.close();
    }
    if (!refused.isEmpty()) {
      notice.accept(
          (refused.size() == 1
                  ? "1 promotion of %s does not count, because %s"
                  : "%3$d promotions of %s do not count, the last because %s")
              .formatted(model, refused.getLast().getMessage(), refused.size()));
    }
    return of(records);
  }

  private static boolean isUsable(
      Promotion record, RecordCheck<Promotion> check, List<UnusableRecordException> refused) {
    try {
      check.check(record);
      return true;
    } catch (UnusableRecordException e) {
      LOG.warn(
          "The promotion of version {} of {} does not count: {}",
          record.getVersion(),
          record.getModel(),
          e.getMessage());
      refused.add(e);
      return false;
    }
  }

  /** The chain after these promotions. */
  static PromotionChain of(List<Promotion> records) {
    PromotionChain chain = empty();
    Map<Long, ModelRef> known = new HashMap<>();
    long judged = 0;
    for (Promotion record : records) {
      if (isDecision(record)) {
        // All of them: a new run reads the topic from its beginning and must know each again.
        chain.remember(record.getDecisionId());
      } else if (!VersionVerdict.isOpen(record.getMetrics())) {
        judged = Math.max(judged, record.getEvaluated());
      }
      chain.counters = chain.counters.atLeast(record.getMetrics());
      chain.follow(record);
      chain.current().ifPresent(served -> known.put(served.version(), served));
    }
    PromotionChain whole = new PromotionChain(chain.served, judged, chain.decisions);
    whole.counters = chain.counters;
    if (!records.isEmpty()) {
      whole.lastRecordBefore = records.getLast().getBefore();
      // Its own record may be missing in a compacted topic; older records name none.
      whole.best = known.getOrDefault(records.getLast().getBest(), whole.current().orElse(null));
    }
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
    while (decisions.size() > DECISIONS) {
      decisions.removeFirst();
    }
    follow(decision);
    // Persons know more than the judge does: versions are not compared any more with one that a
    // person has replaced.
    best = current().orElse(null);
    return true;
  }

  private void remember(String decision) {
    decisions.remove(decision);
    decisions.add(decision);
  }

  private void follow(Promotion record) {
    if (record.getVersion() == 0) {
      return;
    }
    ModelRef version =
        new ModelRef(record.getVersion(), record.getUri(), record.getManifestSha256());
    // A person may return to a version that was never served: the versions before it stay. The gate
    // only withdraws: a version that is missing here was served before all that are known.
    if (record.getVerdict() == Verdict.ROLL_BACK
        && (contains(version.version()) || !isDecision(record))) {
      while (!served.isEmpty() && !isServed(version.version())) {
        served.removeLast();
      }
    }
    promote(version);
  }

  /** Whether a version is the one to serve. */
  boolean isServed(long version) {
    return current().filter(current -> current.version() == version).isPresent();
  }

  /** Serves a version. If it is served already, nothing changes. */
  void promote(ModelRef version) {
    if (isServed(version.version())) {
      return;
    }
    served.removeIf(one -> one.version() == version.version());
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
   * The number of the version served before, as the topic's last record says. That version's own
   * record may be missing in a compacted topic.
   */
  Optional<Long> lastBefore() {
    return lastRecordBefore == 0 ? Optional.empty() : Optional.of(lastRecordBefore);
  }

  /**
   * The version that a verdict compares a version with: the served one. A version that is served
   * already is compared with the one served before it.
   */
  Optional<ModelRef> rival(long version) {
    return isServed(version) ? before() : current();
  }

  /** The promoted version that was shown to be better than all promoted before it. */
  Optional<ModelRef> best() {
    return Optional.ofNullable(best);
  }

  /** Takes the served version for the best one. */
  void servedIsBest() {
    best = served.getLast();
  }

  /** Counts of tests and looks so far. */
  GateCounters counters() {
    return counters;
  }

  void count(GateCounters now) {
    counters = now;
  }

  /** Returns to the version served before. */
  void rollBack() {
    ModelRef withdrawn = served.removeLast();
    if (withdrawn.equals(best)) {
      best = current().orElse(null);
    }
  }

  /** Removes a version that the store has deleted. */
  void remove(long version) {
    served.removeIf(one -> one.version() == version);
    if (best != null && best.version() == version) {
      best = current().orElse(null);
    }
  }

  /** Whether later versions are compared with a version, or a rollback may return to it. */
  boolean needs(long version) {
    return contains(version) || (best != null && best.version() == version);
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

  record State(
      List<ModelRef> served,
      long judged,
      @AvroDefault("[]") List<String> decisions,
      @AvroDefault("null") @Nullable ModelRef best,
      @AvroDefault("{\"promotions\": 0, \"withdrawals\": 0, \"rounds\": 0}")
          GateCounters counters) {}

  State state() {
    return new State(versions(), judged, List.copyOf(decisions), best, counters);
  }

  static PromotionChain of(State state) {
    PromotionChain chain = new PromotionChain(state.served(), state.judged(), state.decisions());
    // States from before there was a best version: the served one was compared with the others.
    chain.best = state.best() == null ? chain.current().orElse(null) : state.best();
    chain.counters = state.counters();
    return chain;
  }
}

package io.millrace.jobs.runtime;

import io.millrace.connectors.flink.decode.Totals;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.WithdrawalFeed;
import io.millrace.schemas.Printable;
import io.millrace.schemas.Provenance;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.WithdrawnBy;
import io.millrace.schemas.WithdrawnRecords;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.OperatorStateStore;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The withdrawals that an operator knows, and what it dropped because of them. The metric {@code
 * records_withdrawn} counts the dropped records since the task began, and the accumulator {@code
 * topics/TOPIC/dropped/withdrawn} since the job began. For the task thread.
 */
final class Withdrawals implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(Withdrawals.class);

  private final BackgroundOperator<?> operator;
  private final WithdrawalFeed feed;
  private BackgroundThread thread;
  private MailboxExecutor mailbox;
  private final WithdrawnRecords known = new WithdrawnRecords();
  private final Counter metric;
  private final LongCounter dropped = new LongCounter();
  private final AppliedWithdrawals applied = new AppliedWithdrawals();
  private final ListState<Long> savedDropped;

  /** Withdrawals by annotator that were forgotten, see {@link BackgroundOperator#forget}. */
  private final Set<String> forgotten = new TreeSet<>();

  private final ListState<String> savedForgotten;

  /** Withdrawals of records that a piece of work still uses. */
  private final List<Withdrawal> unsettled = new ArrayList<>();

  /**
   * @param operator whose records are removed
   * @param topic of its records
   * @param kafka where withdrawals are read; null for none
   */
  Withdrawals(
      BackgroundOperator<?> operator,
      Topic<?> topic,
      KafkaSettings kafka,
      RuntimeContext context,
      OperatorStateStore state)
      throws Exception {
    this.operator = operator;
    this.feed = kafka == null ? null : new WithdrawalFeed(kafka);
    savedDropped = state.getListState(new ListStateDescriptor<>("withdrawn", Types.LONG));
    for (long saved : savedDropped.get()) {
      dropped.add(saved);
    }
    savedForgotten = state.getListState(new ListStateDescriptor<>("withdrawals", Types.STRING));
    savedForgotten.get().forEach(forgotten::add);
    context.addAccumulator(Totals.prefix(topic) + Totals.DROPPED + "withdrawn", dropped);
    applied.add(0L);
    context.addAccumulator(AppliedWithdrawals.NAME, applied);
    MetricGroup metrics = operator.getMetricGroup();
    metric = metrics.addGroup("topic", topic.name()).counter("records_withdrawn");
    Gauge<Long> gauge = applied::getLocalValue;
    metrics.gauge("withdrawals_applied", gauge);
  }

  void snapshot() throws Exception {
    savedDropped.update(List.of(dropped.getLocalValuePrimitive()));
    savedForgotten.update(List.copyOf(forgotten));
  }

  boolean contains(Provenance record) {
    return known.contains(record);
  }

  /** Counts records that were dropped. */
  void count(int records) {
    metric.inc(records);
    dropped.add(records);
  }

  /** Reads all withdrawals up to now, and applies them to the state before the first record. */
  void begin() throws Exception {
    List<Withdrawal> all = feed == null ? List.of() : feed.readAll();
    all.forEach(known::add);
    // What the topic no longer has cannot come back.
    forgotten.retainAll(all.stream().map(Withdrawals::keyOf).collect(Collectors.toSet()));
    all.forEach(this::forget);
    int removed = operator.removeWithdrawn(known::contains);
    count(removed);
    if (known.size() > 0) {
      LOG.info(
          "{} withdrawals are known; the state lost {} records to them", known.size(), removed);
    }
    all.stream().filter(this::isUsed).forEach(unsettled::add);
    updateApplied();
  }

  /** Begins to apply the withdrawals that come, between two pieces of the thread's work. */
  void follow(BackgroundThread worker, MailboxExecutor executor) {
    thread = worker;
    mailbox = executor;
    if (feed != null) {
      feed.follow("withdrawals of " + operator.activity(), this::applySoon);
    }
  }

  private void applySoon(List<Withdrawal> arrived) {
    try {
      mailbox.execute(() -> apply(arrived), "records are withdrawn");
    } catch (RejectedExecutionException e) {
      // The task is gone already.
    }
  }

  void apply(List<Withdrawal> arrived) throws Exception {
    List<Withdrawal> added = arrived.stream().filter(known::add).toList();
    if (!added.isEmpty()) {
      whileThreadStands(() -> applyTogether(added));
      thread.wake();
    }
    updateApplied();
  }

  /** Has a person forgotten, once: a person who came back is not forgotten again. */
  private void forget(Withdrawal withdrawal) {
    if (withdrawal.getBy() == WithdrawnBy.ANNOTATOR && forgotten.add(keyOf(withdrawal))) {
      operator.forget(withdrawal);
    }
  }

  /** The same id with another time is another withdrawal. */
  private static String keyOf(Withdrawal withdrawal) {
    return withdrawal.getWithdrawalId() + "@" + withdrawal.getTime().toEpochMilli();
  }

  /** One look at all records, however many withdrawals come at once. */
  private void applyTogether(List<Withdrawal> added) throws Exception {
    added.forEach(this::forget);
    Predicate<Provenance> matching = matching(added);
    int removed = operator.removeWithdrawn(matching);
    count(removed);
    boolean used = operator.usesWithdrawn(matching);
    if (used) {
      added.stream().filter(this::isUsed).forEach(unsettled::add);
    }
    // Without the name, which may be a person's.
    LOG.info(
        "{} withdrawals, the first {} by {}: {} records that waited or were kept are removed{}",
        added.size(),
        Printable.line(added.getFirst().getWithdrawalId()),
        added.getFirst().getBy(),
        removed,
        used ? "; an update that has begun still uses withdrawn records" : "");
  }

  /** Looks whether the work that used withdrawn records has ended. */
  void settle() throws Exception {
    if (!unsettled.isEmpty()) {
      whileThreadStands(() -> unsettled.removeIf(withdrawal -> !isUsed(withdrawal)));
      updateApplied();
    }
  }

  private void whileThreadStands(BackgroundOperator.Action action) throws Exception {
    boolean running = !thread.isPaused();
    thread.pause();
    try {
      action.run();
    } finally {
      if (running) {
        thread.resume();
      }
    }
  }

  @Override
  public void close() {
    if (feed != null) {
      feed.close();
    }
  }

  private boolean isUsed(Withdrawal withdrawal) {
    return operator.usesWithdrawn(matching(List.of(withdrawal)));
  }

  private static Predicate<Provenance> matching(List<Withdrawal> withdrawals) {
    WithdrawnRecords records = new WithdrawnRecords();
    withdrawals.forEach(records::add);
    return records::contains;
  }

  private void updateApplied() {
    applied.add((long) known.size() - unsettled.size());
  }
}

package io.millrace.schemas;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * The records that all {@linkplain Withdrawal withdrawals} so far match. Withdrawals add up. An id
 * must not be used for another withdrawal: Kafka keeps only the latest record of an id, and a job
 * that starts later does not know the former. For one thread.
 *
 * <ul>
 *   <li>{@link WithdrawnBy#ID} matches a record, and what was made from it, whatever its time.
 *   <li>{@link WithdrawnBy#ANNOTATOR} and {@link WithdrawnBy#SOURCE} match records up to the
 *       withdrawal's time, and records of unknown time. A withdrawal without time matches all.
 * </ul>
 */
public final class WithdrawnRecords {

  private final Map<String, Withdrawal> withdrawals = new HashMap<>();
  private final Set<String> ids = new HashSet<>();

  // The latest withdrawn milliseconds, by name.
  private final Map<String, Long> annotators = new HashMap<>();
  private final Map<String, Long> sources = new HashMap<>();

  /**
   * Adds a withdrawal.
   *
   * @return false if it was known
   */
  public boolean add(Withdrawal withdrawal) {
    if (withdrawal.equals(withdrawals.put(withdrawal.getWithdrawalId(), withdrawal))) {
      return false;
    }
    long time = withdrawal.getTime().toEpochMilli();
    long until = time <= 0 ? Long.MAX_VALUE : time;
    switch (withdrawal.getBy()) {
      case ID -> ids.add(withdrawal.getName());
      case ANNOTATOR -> annotators.merge(withdrawal.getName(), until, Math::max);
      case SOURCE -> sources.merge(withdrawal.getName(), until, Math::max);
    }
    return true;
  }

  /** Withdrawals with different ids. */
  public int size() {
    return withdrawals.size();
  }

  /** Whether a record is withdrawn. */
  public boolean contains(Provenance record) {
    if (record.ids().isEmpty()) {
      // Nobody knows whose it is: it may be of the withdrawn records.
      return !withdrawals.isEmpty();
    }
    return (!ids.isEmpty() && record.ids().stream().anyMatch(ids::contains))
        || isUntil(annotators.get(record.annotator()), record)
        || isUntil(sources.get(record.source()), record);
  }

  private static boolean isUntil(Long until, Provenance record) {
    return until != null && record.time() <= until;
  }
}

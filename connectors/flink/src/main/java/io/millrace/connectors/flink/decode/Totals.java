package io.millrace.connectors.flink.decode;

import io.millrace.schemas.Topic;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.OperatorStateStore;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;

/**
 * Counts of one topic since the job began. They are operator state, and accumulators such as {@code
 * topics/prompts/accepted}. {@code millrace status} and the summary of a run show them.
 */
public final class Totals {

  public static final String ACCEPTED = "accepted";
  public static final String TRUNCATED = "truncated";

  /** Records without a value: they withdraw the record of their key, or say that it was erased. */
  public static final String TOMBSTONES = "tombstones";

  /** Begins the name of a count of dead letters; the reason follows. */
  public static final String DEAD_LETTERS = "dead-letters/";

  /** Records that Kafka deleted before the job read them. */
  public static final String DELETED_UNREAD = "deleted-unread";

  /** Records of the job's own that Kafka does not take. */
  public static final String TOO_LARGE = "too-large";

  /** Transactions whose records did not become visible. */
  public static final String TRANSACTIONS_LOST = "transactions-lost";

  /**
   * Begins the name of a count of records that the job took and did not use; the reason follows.
   */
  public static final String DROPPED = "dropped/";

  private final RuntimeContext context;
  private final String prefix;
  private final Map<String, LongCounter> counters = new HashMap<>();
  private final ListState<Tuple2<String, Long>> saved;

  private Totals(RuntimeContext context, Topic<?> topic, ListState<Tuple2<String, Long>> saved) {
    this.context = context;
    this.prefix = prefix(topic);
    this.saved = saved;
  }

  /** Begins the names of a topic's accumulators. */
  public static String prefix(Topic<?> topic) {
    return "topics/" + topic.name() + "/";
  }

  /** Restores the counts of an operator. */
  public static Totals restored(RuntimeContext context, OperatorStateStore state, Topic<?> topic)
      throws Exception {
    Totals totals =
        new Totals(
            context,
            topic,
            state.getListState(
                new ListStateDescriptor<>("totals", Types.TUPLE(Types.STRING, Types.LONG))));
    for (Tuple2<String, Long> one : totals.saved.get()) {
      totals.add(one.f0, one.f1);
    }
    return totals;
  }

  /** Adds to a count; 0 makes it appear. */
  public void add(String name, long count) {
    counters.computeIfAbsent(name, this::register).add(count);
  }

  private LongCounter register(String name) {
    LongCounter counter = new LongCounter();
    context.addAccumulator(prefix + name, counter);
    return counter;
  }

  /** Writes the counts to the operator's state. */
  public void snapshot() throws Exception {
    List<Tuple2<String, Long>> entries = new ArrayList<>();
    counters.forEach((name, count) -> entries.add(Tuple2.of(name, count.getLocalValuePrimitive())));
    saved.update(entries);
  }
}

package io.millrace.connectors.kafka;

import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.DescribeProducersResult.PartitionProducerState;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TransactionalIdNotFoundException;

/** The transactions of a cluster: their states, and which open ones the readers wait for. */
public final class Transactions implements AutoCloseable {
  private static final Set<TransactionState> ABORTED =
      Set.of(
          TransactionState.PREPARE_ABORT,
          TransactionState.COMPLETE_ABORT,
          TransactionState.PREPARE_EPOCH_FENCE);

  private final AdminCalls calls;

  public Transactions(KafkaSettings settings) {
    this.calls = new AdminCalls(settings);
  }

  /** What became of a transaction that cannot be committed. */
  public enum Fate {
    /** The transactional id has a later transaction, or this one is committed. */
    FINISHED_BEFORE("the transactional id was used again"),
    ABORTED(
        "the broker aborted it, because it was open for longer than its timeout"
            + " (kafka.properties.transaction.timeout.ms)"),
    FORGOTTEN(
        "the broker does not know the transactional id: it was unused for longer than"
            + " transactional.id.expiration.ms, or __transaction_state was lost");

    private final String text;

    Fate(String text) {
      this.text = text;
    }

    /** The fate in words. */
    public String text() {
      return text;
    }
  }

  /**
   * A transaction that is open in a partition.
   *
   * @param firstOffset its first offset; readers do not get beyond it
   * @param lastWrite when its producer last wrote to the partition
   * @param transactionalId its id; empty when no coordinator knows it: it hangs, and nobody will
   *     end it
   */
  public record Open(
      TopicPartition partition,
      long producerId,
      short epoch,
      int coordinatorEpoch,
      long firstOffset,
      Instant lastWrite,
      Optional<String> transactionalId) {

    /** Whether nobody will end it. */
    public boolean hangs() {
      return transactionalId.isEmpty();
    }
  }

  /** What became of a transaction whose commit Kafka refused. */
  public Fate fate(String transactionalId, long producerId, short epoch) throws IOException {
    TransactionDescription found;
    try {
      found =
          calls.get(
              calls
                  .admin()
                  .describeTransactions(List.of(transactionalId))
                  .description(transactionalId),
              "describe transaction " + transactionalId);
    } catch (IOException e) {
      if (e.getCause() instanceof TransactionalIdNotFoundException) {
        return Fate.FORGOTTEN;
      }
      throw e;
    }
    // A broker that ends a transaction for its timeout raises the epoch by one. A commit and a
    // later transaction raise it, too.
    boolean untouched =
        found.producerId() == producerId && found.producerEpoch() <= (short) (epoch + 1);
    return untouched && ABORTED.contains(found.state()) ? Fate.ABORTED : Fate.FINISHED_BEFORE;
  }

  /** The open transactions in existing partitions, in order of topic and partition. */
  public List<Open> open(Collection<TopicPartition> partitions) throws IOException {
    List<Open> open = list(partitions);
    if (open.stream().noneMatch(Open::hangs)) {
      return open;
    }
    // A transaction may have ended between the two requests. Then it is not open any more.
    List<Open> still = list(partitions);
    return still.stream().filter(now -> !now.hangs() || open.contains(now)).toList();
  }

  private List<Open> list(Collection<TopicPartition> partitions) throws IOException {
    List<Open> open = new ArrayList<>();
    Map<TopicPartition, PartitionProducerState> producers =
        calls.get(
            calls.admin().describeProducers(partitions).all(), "describe the topics' producers");
    Map<Long, String> ids = ids();
    producers.forEach(
        (partition, state) -> {
          for (ProducerState producer : state.activeProducers()) {
            producer
                .currentTransactionStartOffset()
                .ifPresent(
                    first ->
                        open.add(
                            new Open(
                                partition,
                                producer.producerId(),
                                (short) producer.producerEpoch(),
                                Math.max(0, producer.coordinatorEpoch().orElse(0)),
                                first,
                                Instant.ofEpochMilli(producer.lastTimestamp()),
                                Optional.ofNullable(ids.get(producer.producerId())))));
          }
        });
    open.sort(
        Comparator.comparing((Open one) -> one.partition().topic())
            .thenComparingInt(one -> one.partition().partition()));
    return open;
  }

  /** The transactional ids of every open transaction, by producer. */
  private Map<Long, String> ids() throws IOException {
    Map<Long, String> ids = new HashMap<>();
    for (TransactionListing listing :
        calls.get(
            calls.admin().listTransactions(new ListTransactionsOptions()).all(),
            "list its transactions")) {
      // An ended transaction that is still open in a partition was ended without that partition.
      if (Set.of(
              TransactionState.ONGOING,
              TransactionState.PREPARE_COMMIT,
              TransactionState.PREPARE_ABORT)
          .contains(listing.state())) {
        ids.put(listing.producerId(), listing.transactionalId());
      }
    }
    return ids;
  }

  /** Aborts a transaction that {@linkplain Open#hangs hangs}. */
  public void abort(Open hanging) throws IOException {
    if (!hanging.hangs()) {
      throw new IllegalArgumentException(
          "transaction %s in %s is open and does not hang; its producer or the broker ends it"
              .formatted(hanging.transactionalId().orElseThrow(), hanging.partition()));
    }
    Void _ =
        calls.get(
            calls
                .admin()
                .abortTransaction(
                    new AbortTransactionSpec(
                        hanging.partition(),
                        hanging.producerId(),
                        hanging.epoch(),
                        hanging.coordinatorEpoch()))
                .all(),
            "abort the transaction of producer %d in %s"
                .formatted(hanging.producerId(), hanging.partition()));
  }

  @Override
  public void close() {
    calls.close();
  }
}

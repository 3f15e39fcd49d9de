package io.millrace.connectors.flink.sink;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.LostTransactions;
import io.millrace.connectors.kafka.Transactions;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.connector.kafka.sink.KafkaCommittable;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.kafka.common.errors.InvalidPidMappingException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Flink's committer of Kafka transactions, which also counts the transactions that are lost. Their
 * records are gone, while the job's state counts them as written. By {@link LostTransactions} the
 * job stops without a restart, since each restart would find the same, or goes on.
 *
 * <p>After a restore the job commits the transactions of its Flink checkpoint again. Kafka refuses
 * to commit a transaction twice. The broker's state of the transactional id shows whether the
 * transaction was committed or aborted.
 */
final class WatchedCommitter implements Committer<KafkaCommittable> {
  private static final Logger LOG = LoggerFactory.getLogger(WatchedCommitter.class);

  private final Committer<KafkaCommittable> committer;
  private final KafkaSettings settings;
  private final String topic;
  private final Counter lost;
  private boolean restored;

  /**
   * @param topic the topic's full name
   * @param restored whether the first commit repeats that of a Flink checkpoint
   */
  WatchedCommitter(
      Committer<KafkaCommittable> committer,
      KafkaSettings settings,
      String topic,
      boolean restored,
      Counter lost) {
    this.committer = committer;
    this.settings = settings;
    this.topic = topic;
    this.restored = restored;
    this.lost = lost;
  }

  @Override
  public void commit(Collection<CommitRequest<KafkaCommittable>> requests)
      throws IOException, InterruptedException {
    List<String> losses = new ArrayList<>();
    List<CommitRequest<KafkaCommittable>> watched = new ArrayList<>();
    requests.forEach(request -> watched.add(new WatchedRequest(request, losses)));
    committer.commit(watched);
    restored = false;
    if (losses.isEmpty()) {
      return;
    }
    String message = message(losses);
    LOG.error(message);
    if (settings.lostTransactions() == LostTransactions.STOP) {
      throw new SuppressRestartsException(new LostTransactionsException(message));
    }
  }

  private String message(List<String> losses) {
    String problem =
        "%d transactions with records of %s are lost: %s. The job's state counts these records as written."
            .formatted(losses.size(), topic, String.join("; ", losses));
    return settings.lostTransactions() == LostTransactions.ACCEPT
        ? problem + " The job goes on, because kafka.lost-transactions is accept."
        : problem
            + " To go on, resume from a savepoint or Flink checkpoint from before the loss, which"
            + " writes the records again; or accept the loss: resume from the last Flink"
            + " checkpoint with kafka.lost-transactions=accept. If readers of the topic stand"
            + " still: millrace topics --abort-hanging. See docs/operations.md, \"Lost"
            + " transactions\".";
  }

  @Override
  public void close() throws IOException {
    try {
      committer.close();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while closing the committer of " + topic, e);
    } catch (IOException e) {
      throw e;
    } catch (Exception e) {
      throw new IOException("the committer of %s did not close: %s".formatted(topic, e), e);
    }
  }

  /** Notes a loss in place of Flink's handling. */
  private final class WatchedRequest implements CommitRequest<KafkaCommittable> {
    private final CommitRequest<KafkaCommittable> request;
    private final List<String> losses;

    WatchedRequest(CommitRequest<KafkaCommittable> request, List<String> losses) {
      this.request = request;
      this.losses = losses;
    }

    @Override
    public KafkaCommittable getCommittable() {
      return request.getCommittable();
    }

    @Override
    public int getNumberOfRetries() {
      return request.getNumberOfRetries();
    }

    /** Kafka has fenced the producer, or the transaction is in a state without commit. */
    @Override
    public void signalFailedWithKnownReason(Throwable problem) {
      noteLoss(problem);
    }

    @Override
    public void signalFailedWithUnknownReason(Throwable problem) {
      if (problem instanceof InvalidPidMappingException) {
        noteLoss(problem);
      } else {
        request.signalFailedWithUnknownReason(problem);
      }
    }

    private void noteLoss(Throwable problem) {
      KafkaCommittable transaction = request.getCommittable();
      String fate;
      try (Transactions transactions = new Transactions(settings)) {
        Transactions.Fate found =
            transactions.fate(
                transaction.getTransactionalId(),
                transaction.getProducerId(),
                transaction.getEpoch());
        if (restored && found == Transactions.Fate.FINISHED_BEFORE) {
          request.signalAlreadyCommitted();
          return;
        }
        fate = found.text();
      } catch (IOException e) {
        fate = "its state is unknown (%s)".formatted(e.getMessage());
      }
      lost.inc();
      losses.add(
          "%s of producer %d, epoch %d: %s (%s)"
              .formatted(
                  transaction.getTransactionalId(),
                  transaction.getProducerId(),
                  transaction.getEpoch(),
                  fate,
                  problem.getMessage()));
      request.signalFailedWithKnownReason(problem);
    }

    @Override
    public void retryLater() {
      request.retryLater();
    }

    @Override
    public void updateAndRetryLater(KafkaCommittable committable) {
      request.updateAndRetryLater(committable);
    }

    @Override
    public void signalAlreadyCommitted() {
      request.signalAlreadyCommitted();
    }
  }

  /** Records that the job's state counts as written are not in Kafka. */
  private static final class LostTransactionsException extends IOException {
    private static final long serialVersionUID = 1L;

    LostTransactionsException(String message) {
      super(message);
    }
  }
}

package io.millrace.demo.loop;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.world.Annotators;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Predicate;

/**
 * Annotators at work. The service reads rollouts from their topic and judges them in pairs: a
 * prompt's first two samples, its next two, and so on. Like any application it knows Kafka, not
 * Flink.
 */
public final class AnnotatorService implements AutoCloseable {

  /**
   * One in four harmless pairs, chosen by the prompt, is judged on safety too. Such judgments teach
   * that harmless responses are safe.
   */
  private static final int SAFETY_EVERY = 4;

  private final Annotators annotators;
  private final Predicate<Rollout> isJudged;
  private final Set<String> judged;
  private final RecordReader<Rollout> rollouts;
  private final RecordWriter judgments;
  private final Map<String, Rollout> unpaired = new HashMap<>();
  private final Thread thread = new Thread(this::work, "annotators");
  private volatile boolean closed;
  private volatile IOException failure;
  private final AtomicLong rolloutsSeen = new AtomicLong();
  private final AtomicLong judgmentsMade = new AtomicLong();

  /** Annotators who judge all rollouts. */
  public AnnotatorService(KafkaSettings settings, Annotators annotators) throws IOException {
    this(settings, annotators, rollout -> true, Set.of());
  }

  /**
   * Annotators who judge some of the rollouts.
   *
   * @param isJudged selects the rollouts that the annotators see
   * @param judged ids of existing judgments, which are not sent again
   */
  public AnnotatorService(
      KafkaSettings settings,
      Annotators annotators,
      Predicate<Rollout> isJudged,
      Set<String> judged)
      throws IOException {
    this.annotators = annotators;
    this.isJudged = isJudged;
    this.judged = Set.copyOf(judged);
    this.rollouts = RecordReader.fromEarliest(settings, Topic.ROLLOUTS);
    this.judgments = new RecordWriter(settings);
    thread.setDaemon(true);
  }

  /** Begins to judge, in a thread. */
  public void start() {
    thread.start();
  }

  private void work() {
    try {
      while (!closed) {
        Optional<RecordReader.Entry<Rollout>> next = rollouts.next(Duration.ofMillis(100));
        if (next.isPresent()) {
          Rollout rollout = next.get().record().orElseThrow();
          if (isJudged.test(rollout)) {
            take(rollout);
          }
        }
      }
    } catch (IOException | RuntimeException e) {
      failure =
          e instanceof IOException io ? io : new IOException("the annotators failed: " + e, e);
    }
  }

  private void take(Rollout rollout) throws IOException {
    String pair = Annotators.pair(rollout);
    Rollout other = unpaired.remove(pair);
    if (other == null) {
      unpaired.put(pair, rollout);
    } else if (rollout.getResponseText().isBlank()
        || other.getResponseText().isBlank()
        || rollout.getResponseText().strip().equals(other.getResponseText().strip())) {
      // An annotator would skip a pair with a blank response, or with twice the same one.
      rolloutsSeen.addAndGet(2);
      return;
    } else {
      if (rollout.getIsSafety()) {
        send(Objective.SAFETY, other, rollout);
      } else {
        send(Objective.HELPFULNESS, other, rollout);
        if (Math.floorMod(rollout.getPromptId().hashCode(), SAFETY_EVERY) == 0) {
          send(Objective.SAFETY, other, rollout);
        }
      }
      rolloutsSeen.addAndGet(2);
    }
  }

  private void send(Objective objective, Rollout a, Rollout b) throws IOException {
    for (Judgment judgment : annotators.judgments(objective, a, b)) {
      if (!judged.contains(judgment.getJudgmentId())) {
        judgments.send(Topic.JUDGMENTS, judgment);
        judgmentsMade.incrementAndGet();
      }
    }
  }

  /**
   * Rollouts judged or skipped so far.
   *
   * @throws IOException where the thread has failed
   */
  public long rolloutsSeen() throws IOException {
    if (failure != null) {
      throw failure;
    }
    return rolloutsSeen.get();
  }

  /** Judgments sent so far. */
  public long judgmentsMade() {
    return judgmentsMade.get();
  }

  @Override
  public void close() throws IOException {
    closed = true;
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    rollouts.close();
    judgments.close();
  }
}

package io.millrace.serve.feedback;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.serve.completion.CompletionIds;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/**
 * Looks for responses in the topic {@code rollouts}. One search at a time reads a part of the
 * topic, for all who wait. The newest responses are looked for first, so that ids from long ago do
 * not hold up the others.
 */
final class ResponseSearch {

  /** Kafka stamps a record when it is sent, which may be before the clock of the id. */
  private static final Duration SKEW = Duration.ofMinutes(1);

  /** One search is for responses that were made within this time. */
  private static final Duration RANGE = Duration.ofMinutes(10);

  private static final Duration POLL = Duration.ofMillis(50);
  private static final Duration LONGEST = Duration.ofSeconds(10);

  private final KafkaSettings kafka;
  private final Consumer<ServedResponse> passed;
  private final ReentrantLock searching = new ReentrantLock();
  private final Map<String, Wanted> waiting = new HashMap<>();

  /** An id, when it was made, and what the search finds. */
  private record Wanted(
      String id, Instant time, CompletableFuture<Optional<ServedResponse>> found) {}

  /**
   * @param passed gets every response of a server that a search reads
   */
  ResponseSearch(KafkaSettings kafka, Consumer<ServedResponse> passed) {
    this.kafka = kafka;
    this.passed = passed;
  }

  /**
   * Looks for a response.
   *
   * @param id of the response, with its index
   * @param time when the id was made
   * @throws IOException if Kafka cannot be read, or not in time
   */
  Optional<ServedResponse> find(String id, Instant time) throws IOException {
    if (time.isAfter(Instant.now().plus(SKEW))) {
      return Optional.empty();
    }
    Wanted wanted;
    synchronized (waiting) {
      wanted = waiting.computeIfAbsent(id, _ -> new Wanted(id, time, new CompletableFuture<>()));
    }
    long end = System.nanoTime() + LONGEST.toNanos();
    try {
      while (!wanted.found().isDone()) {
        long left = end - System.nanoTime();
        if (left <= 0 || !searching.tryLock(left, TimeUnit.NANOSECONDS)) {
          end(wanted, late());
          continue;
        }
        try {
          if (!wanted.found().isDone()) {
            search(newest());
          }
        } finally {
          searching.unlock();
        }
      }
      return wanted.found().join();
    } catch (CompletionException e) {
      throw new IOException(e.getCause().getMessage(), e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while looking for a response", e);
    }
  }

  private static IOException late() {
    return new IOException(
        "the response was not found in the topic %s within %d s"
            .formatted(Topic.ROLLOUTS.name(), LONGEST.toSeconds()));
  }

  /** The newest wanted response, and the others that were made at most {@link #RANGE} before. */
  private List<Wanted> newest() {
    synchronized (waiting) {
      // Those who gave up took theirs away, perhaps all.
      Instant newest =
          waiting.values().stream()
              .map(Wanted::time)
              .max(Comparator.naturalOrder())
              .orElse(Instant.EPOCH);
      return waiting.values().stream()
          .filter(wanted -> wanted.time().isAfter(newest.minus(RANGE)))
          .toList();
    }
  }

  private void search(List<Wanted> group) {
    if (group.isEmpty()) {
      return;
    }
    Map<String, Wanted> open = new HashMap<>();
    group.forEach(wanted -> open.put(wanted.id(), wanted));
    Instant first =
        group.stream().map(Wanted::time).min(Comparator.naturalOrder()).orElseThrow().minus(SKEW);
    long end = System.nanoTime() + LONGEST.toNanos();
    try (RecordReader<Rollout> reader = RecordReader.fromTime(kafka, Topic.ROLLOUTS, first)) {
      while (!open.isEmpty()) {
        if (System.nanoTime() > end) {
          throw late();
        }
        Optional<RecordReader.Entry<Rollout>> entry = reader.next(POLL);
        if (entry.isEmpty() && reader.remaining() == 0) {
          open.values().forEach(wanted -> end(wanted, Optional.empty()));
          return;
        }
        entry
            .flatMap(RecordReader.Entry::record)
            .map(ResponseSearch::served)
            .ifPresent(
                response -> {
                  if (CompletionIds.time(response.id()).isPresent()) {
                    passed.accept(response);
                  }
                  Wanted wanted = open.remove(response.id());
                  if (wanted != null) {
                    end(wanted, Optional.of(response));
                  }
                });
      }
    } catch (IOException | RuntimeException e) {
      open.values().forEach(wanted -> end(wanted, e));
    }
  }

  private void end(Wanted wanted, Optional<ServedResponse> found) {
    forget(wanted);
    wanted.found().complete(found);
  }

  private void end(Wanted wanted, Exception failure) {
    forget(wanted);
    wanted.found().completeExceptionally(failure);
  }

  private void forget(Wanted wanted) {
    synchronized (waiting) {
      waiting.remove(wanted.id(), wanted);
    }
  }

  private static ServedResponse served(Rollout rollout) {
    return new ServedResponse(
        rollout.getRolloutId(),
        rollout.getDialogue(),
        rollout.getResponseText(),
        rollout.getPolicyVersion(),
        rollout.getFinishReason() == FinishReason.LENGTH);
  }
}

package io.millrace.jobs.rewardmodel;

import io.millrace.jobs.models.HeldOut;
import io.millrace.model.reward.RewardModelTrainer.Labelled;
import io.millrace.schemas.Feedback;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;

/**
 * Responses whose safety label came as feedback, without another response beside them. They join
 * the next update; where no judgments come, two batches of them are an update of their own.
 */
final class LabelledResponses {

  private final HeldOut heldOut;
  private final int most;

  // State.
  private final Deque<Feedback> waiting = new ArrayDeque<>();
  private long learned;
  private long withheld;

  /**
   * @param batchSize judgments of an update: it takes as many responses as those have
   */
  LabelledResponses(HeldOut heldOut, int batchSize) {
    this.heldOut = heldOut;
    this.most = 2 * batchSize;
  }

  /** Whether the job learns from this feedback at all. */
  static boolean isLabelled(Feedback feedback) {
    return feedback.getResponse().getUnsafe() != null;
  }

  /** Takes feedback; that of held-out dialogues is counted, and not learned from. */
  void add(Feedback feedback) {
    if (heldOut.contains(feedback.getDialogue())) {
      withheld++;
    } else {
      waiting.addLast(feedback);
    }
  }

  int waiting() {
    return waiting.size();
  }

  /** Whether an update is due for these responses alone. */
  boolean isDue() {
    return waiting.size() >= most;
  }

  /** The responses of the next update. */
  List<Feedback> take() {
    List<Feedback> taken = new ArrayList<>();
    while (taken.size() < most && !waiting.isEmpty()) {
      taken.add(waiting.removeFirst());
    }
    learned += taken.size();
    return taken;
  }

  /** Feedback that the model learned from. */
  long learned() {
    return learned;
  }

  /**
   * Removes feedback that waits.
   *
   * @return how much was removed
   */
  int removeIf(Predicate<Feedback> removed) {
    int before = waiting.size();
    waiting.removeIf(removed);
    return before - waiting.size();
  }

  /** Feedback as training data. */
  static List<Labelled> of(
      List<Feedback> feedback, JudgmentTokens tokens, ToDoubleFunction<Feedback> weight) {
    return feedback.stream()
        .map(
            one ->
                new Labelled(
                    tokens.of(one),
                    one.getResponse().getUnsafe(),
                    weight.applyAsDouble(one),
                    TextHash.of(List.of(one.getFeedbackId()))))
        .toList();
  }

  Map<String, Double> byName() {
    Map<String, Double> metrics = new TreeMap<>();
    metrics.put("feedback/learned", (double) learned);
    metrics.put("feedback/held-out", (double) withheld);
    return metrics;
  }

  record State(List<Feedback> waiting, long learned, long withheld) {}

  State state() {
    return new State(List.copyOf(waiting), learned, withheld);
  }

  void restore(State state) {
    waiting.addAll(state.waiting());
    learned = state.learned();
    withheld = state.withheld();
  }
}

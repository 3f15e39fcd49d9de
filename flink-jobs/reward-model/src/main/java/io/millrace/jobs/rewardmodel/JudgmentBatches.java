package io.millrace.jobs.rewardmodel;

import io.millrace.model.reward.MixedBatches;
import io.millrace.model.reward.ShuffleBuffer;
import io.millrace.schemas.Judgment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;

/** Judgments between the input and the trainer: a shuffle buffer, then batches by source. */
final class JudgmentBatches {

  private final JudgmentSources sources;
  private final ShuffleBuffer<Judgment> shuffle;
  private final MixedBatches<Judgment> batches;

  JudgmentBatches(RewardModelSection section, JudgmentSources sources, long seed) {
    this.sources = sources;
    this.shuffle = new ShuffleBuffer<>(section.shuffleBuffer(), seed);
    this.batches =
        new MixedBatches<>(sources.ratios(), section.batchSize(), section.replayCapacity(), seed);
  }

  /** Whether the shuffle buffer takes another judgment before one must leave it. */
  boolean hasRoom() {
    return !shuffle.isDue();
  }

  void add(Judgment judgment) {
    shuffle.add(judgment);
  }

  /** Takes out the judgments of a source that no step has learned from. */
  List<Judgment> takeSource(String source) {
    List<Judgment> taken =
        new ArrayList<>(batches.takeNew(judgment -> judgment.getSource().equals(source)));
    taken.addAll(shuffle.takeIf(judgment -> judgment.getSource().equals(source)));
    return taken;
  }

  /**
   * Moves a judgment from the shuffle buffer to the queue of its source.
   *
   * @param inputEnded whether the buffer keeps nothing back any more
   * @return whether there was a judgment to move
   */
  boolean moveOne(boolean inputEnded) {
    if (shuffle.isDue() || (inputEnded && shuffle.waiting() > 0)) {
      Judgment next = shuffle.take();
      batches.add(sources.keyOfAny(next), next);
      return true;
    }
    return false;
  }

  /**
   * Removes judgments that wait or are kept for replays.
   *
   * @return how many were removed
   */
  int removeIf(Predicate<Judgment> removed) {
    return shuffle.removeIf(removed) + batches.removeIf(removed);
  }

  /** Whether a batch is due. */
  boolean isDue() {
    return batches.isDue();
  }

  /** Judgments that wait in the queues of their sources. */
  int waiting() {
    return batches.waiting();
  }

  /** The next batch, even if none is due. */
  MixedBatches.Batch<Judgment> take() {
    return batches.take();
  }

  /** See {@link ShuffleBuffer#records} and {@link MixedBatches.State}. */
  record State(
      long draws,
      List<Judgment> shuffled,
      long batches,
      Map<String, List<Judgment>> queues,
      Map<String, Replay> replays) {}

  /** See {@link MixedBatches.Replay}. */
  record Replay(long seen, List<Judgment> kept) {}

  State state() {
    MixedBatches.State<Judgment> mixed = batches.state();
    Map<String, Replay> replays = new TreeMap<>();
    mixed
        .replays()
        .forEach((source, replay) -> replays.put(source, new Replay(replay.seen(), replay.kept())));
    return new State(shuffle.draws(), shuffle.records(), mixed.batches(), mixed.queues(), replays);
  }

  void restore(State state) {
    shuffle.restore(state.draws(), state.shuffled());
    Map<String, MixedBatches.Replay<Judgment>> replays = new TreeMap<>();
    state
        .replays()
        .forEach(
            (source, replay) ->
                replays.put(source, new MixedBatches.Replay<>(replay.seen(), replay.kept())));
    batches.restore(new MixedBatches.State<>(state.batches(), state.queues(), replays));
  }
}

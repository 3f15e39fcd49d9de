package io.millrace.jobs.preference;

import io.millrace.model.reward.ShuffleBuffer;
import io.millrace.schemas.Provenance;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/** Examples between scoring and learning: a shuffle buffer, and further passes at the end. */
final class ExampleQueue {

  private final int passes;
  private final ShuffleBuffer<Example> shuffle;
  private final List<Example> kept = new ArrayList<>();
  private int pass;

  /**
   * @param passes over all examples; above 1 they are kept
   */
  ExampleQueue(int shuffleBuffer, int passes, long seed) {
    this.passes = passes;
    this.shuffle = new ShuffleBuffer<>(shuffleBuffer, seed);
  }

  void add(List<Example> examples) {
    examples.forEach(shuffle::add);
    if (passes > 1) {
      kept.addAll(examples);
    }
  }

  /** Whether an example must leave before others come. */
  boolean isDue() {
    return shuffle.isDue();
  }

  /**
   * Whether there is another example, now that the input has ended. Begins the next pass where one
   * is left.
   */
  boolean hasMore() {
    if (shuffle.waiting() == 0 && pass + 1 < passes && !kept.isEmpty()) {
      pass++;
      kept.forEach(shuffle::add);
    }
    return shuffle.waiting() > 0;
  }

  Example take() {
    return shuffle.take();
  }

  /** Whether an example of a record is in the buffer. */
  boolean waits(Provenance record) {
    return shuffle.records().stream().anyMatch(example -> example.from().equals(record));
  }

  /** Removes examples from the buffer and from those kept. */
  void removeIf(Predicate<Provenance> removed) {
    shuffle.removeIf(example -> removed.test(example.from()));
    kept.removeIf(example -> removed.test(example.from()));
  }

  /** The pass over the examples, from 0. */
  int pass() {
    return pass;
  }

  /** See {@link ShuffleBuffer#records}. */
  record State(long draws, List<Example> shuffled, List<Example> kept, int pass) {}

  State state() {
    return new State(shuffle.draws(), shuffle.records(), List.copyOf(kept), pass);
  }

  void restore(State state) {
    shuffle.restore(state.draws(), state.shuffled());
    kept.clear();
    kept.addAll(state.kept());
    pass = state.pass();
  }
}

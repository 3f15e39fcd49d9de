package io.millrace.model.supervised;

import io.millrace.model.supervised.SequencePacker.Batch;
import io.millrace.model.supervised.SupervisedTrainer.Example;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.Supplier;

/**
 * The batches of several passes over a known list of examples, each pass in another order. They
 * depend on the examples and the seed alone, so the number of batches learned is the whole state.
 */
public final class SupervisedPasses {

  private final List<Example> examples;
  private final int passes;
  private final long seed;
  private final Supplier<SequencePacker> packers;
  private final int batches;

  private SequencePacker packer;

  /** Examples since the last complete batch, and those of the last batch. */
  private List<Example> packed = new ArrayList<>();

  private List<Example> last = List.of();
  private List<Example> order = List.of();
  private int at;
  private int pass;

  /**
   * @param packers makes equal, empty packers
   */
  public SupervisedPasses(
      List<Example> examples, int passes, long seed, Supplier<SequencePacker> packers) {
    this.examples = List.copyOf(examples);
    this.passes = passes;
    this.seed = seed;
    this.packers = packers;
    rewind();
    int count = 0;
    while (next().isPresent()) {
      count++;
    }
    this.batches = count;
    rewind();
  }

  private void rewind() {
    packer = packers.get();
    packed = new ArrayList<>();
    order = List.of();
    at = 0;
    pass = 0;
  }

  /** Number of batches in all passes. */
  public int batches() {
    return batches;
  }

  /** The next batch; empty after the last one. */
  public Optional<Batch> next() {
    while (true) {
      if (at == order.size()) {
        if (pass == passes) {
          complete();
          return packer.drain();
        }
        order = new ArrayList<>(examples);
        Collections.shuffle(order, new Random(seed + pass));
        at = 0;
        pass++;
      }
      if (at < order.size()) {
        Example example = order.get(at++);
        Optional<Batch> complete = packer.add(example);
        if (complete.isPresent()) {
          complete();
        }
        packed.add(example);
        if (complete.isPresent()) {
          return complete;
        }
      }
    }
  }

  private void complete() {
    last = packed;
    packed = new ArrayList<>();
  }

  /** The examples of the last batch, as they were given. */
  public List<Example> lastExamples() {
    return List.copyOf(last);
  }

  /**
   * Skips batches that were learned from before.
   *
   * @throws IllegalArgumentException if there are fewer
   */
  public void skip(long count) {
    for (long i = 0; i < count; i++) {
      if (next().isEmpty()) {
        throw new IllegalArgumentException(
            "cannot skip %d batches: there are %d in all passes".formatted(count, batches));
      }
    }
  }
}

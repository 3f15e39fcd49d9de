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
 * All batches of several passes over examples that are known beforehand, each pass in an order of
 * its own. They follow from the examples and the seed alone, so that where training stands is the
 * number of the batch.
 */
public final class SupervisedPasses {

  private final List<Example> examples;
  private final int passes;
  private final long seed;
  private final Supplier<SequencePacker> packers;
  private final int batches;

  private SequencePacker packer;
  private List<Example> order = List.of();
  private int at;
  private int pass;

  /**
   * @param packers makes empty packers, all alike
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
    order = List.of();
    at = 0;
    pass = 0;
  }

  /** How many there are. */
  public int batches() {
    return batches;
  }

  /** The next one, or none after the last. */
  public Optional<Batch> next() {
    while (true) {
      if (at == order.size()) {
        if (pass == passes) {
          return packer.drain();
        }
        order = new ArrayList<>(examples);
        Collections.shuffle(order, new Random(seed + pass));
        at = 0;
        pass++;
      }
      if (at < order.size()) {
        Optional<Batch> complete = packer.add(order.get(at++));
        if (complete.isPresent()) {
          return complete;
        }
      }
    }
  }

  /** Leaves the next ones out, which were learned from before. */
  public void skip(long count) {
    for (long i = 0; i < count; i++) {
      if (next().isEmpty()) {
        throw new IllegalArgumentException(
            "%d batches are to be left out, there are %d".formatted(count, batches));
      }
    }
  }
}

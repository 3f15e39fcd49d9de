package io.millrace.model.supervised;

import io.millrace.model.supervised.SupervisedTrainer.Example;
import io.millrace.model.training.StateIo;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Fills training sequences with examples, in the order in which they come, and batches with
 * sequences (Llama 2, arXiv 2307.09288, section 3.1). An example is never cut: one that does not
 * fit begins the next sequence. Between two examples of a sequence stands the separator, which is
 * never learned.
 *
 * <p>What comes out depends on the order of the examples alone; the examples of the batch that is
 * being filled are the whole state.
 */
public final class SequencePacker {

  private final int sequenceLength;
  private final int batchSize;
  private final Concatenation concatenation;
  private final OptionalInt separator;

  /** The sequences of the batch that is being filled; the last of them may have room. */
  private final List<List<Example>> sequences = new ArrayList<>();

  private int lastLength;

  /**
   * What one update learns from.
   *
   * @param sequences as {@link SupervisedTrainer#step} takes them: tokens attend within one of
   *     these only
   * @param examples how many are in them
   */
  public record Batch(List<Example> sequences, int examples) {}

  /**
   * @param sequenceLength tokens of a training sequence at most
   * @param batchSize training sequences of an update
   * @param separator the token between two examples, where the tokenizer has one
   * @throws IllegalArgumentException where examples are to attend to each other and nothing would
   *     part them
   */
  public SequencePacker(
      int sequenceLength, int batchSize, Concatenation concatenation, OptionalInt separator) {
    if (sequenceLength < 2 || batchSize < 1) {
      throw new IllegalArgumentException(
          "sequenceLength %d and batchSize %d must be at least 2 and 1"
              .formatted(sequenceLength, batchSize));
    }
    if (concatenation == Concatenation.CROSS_ATTENDING && separator.isEmpty()) {
      throw new IllegalArgumentException(
          "examples that attend to each other need a separator between them; name a sep_token in"
              + " tokenizer_config.json, or pack them");
    }
    this.sequenceLength = sequenceLength;
    this.batchSize = batchSize;
    this.concatenation = concatenation;
    this.separator = separator;
  }

  /**
   * Takes an example up.
   *
   * @return the batch before it, if that is complete without it
   * @throws IllegalArgumentException for an example that is longer than a sequence
   */
  public Optional<Batch> add(Example example) {
    int length = example.tokens().length;
    if (length > sequenceLength) {
      throw new IllegalArgumentException(
          "an example of %d tokens does not fit in a sequence of %d"
              .formatted(length, sequenceLength));
    }
    int withSeparator = lastLength + (separator.isPresent() ? 1 : 0) + length;
    if (!sequences.isEmpty() && withSeparator <= sequenceLength) {
      sequences.getLast().add(example);
      lastLength = withSeparator;
      return Optional.empty();
    }
    Optional<Batch> complete = sequences.size() == batchSize ? drain() : Optional.empty();
    sequences.add(new ArrayList<>(List.of(example)));
    lastLength = length;
    return complete;
  }

  /** The batch as far as it is filled, if anything is in it; the packer is empty afterwards. */
  public Optional<Batch> drain() {
    if (sequences.isEmpty()) {
      return Optional.empty();
    }
    List<Example> parts = new ArrayList<>();
    for (List<Example> sequence : sequences) {
      List<Example> separated = separated(sequence);
      if (concatenation == Concatenation.PACKED) {
        parts.addAll(separated);
      } else {
        parts.add(concatenate(separated));
      }
    }
    int examples = waiting();
    sequences.clear();
    lastLength = 0;
    return Optional.of(new Batch(parts, examples));
  }

  /** Examples in the batch that is being filled. */
  public int waiting() {
    return sequences.stream().mapToInt(List::size).sum();
  }

  /** Each example but the last with the separator after it. */
  private List<Example> separated(List<Example> sequence) {
    List<Example> separated = new ArrayList<>();
    for (Example example : sequence.subList(0, sequence.size() - 1)) {
      separated.add(separator.isPresent() ? example.followedBy(separator.getAsInt()) : example);
    }
    separated.add(sequence.getLast());
    return separated;
  }

  private static Example concatenate(List<Example> examples) {
    int length = examples.stream().mapToInt(example -> example.tokens().length).sum();
    int[] tokens = new int[length];
    boolean[] loss = new boolean[length];
    int at = 0;
    for (Example example : examples) {
      int count = example.tokens().length;
      System.arraycopy(example.tokens(), 0, tokens, at, count);
      System.arraycopy(example.loss(), 0, loss, at, count);
      at += count;
    }
    return new Example(tokens, loss);
  }

  /** Writes the examples that wait. */
  public void write(DataOutput out) throws IOException {
    StateIo.writeList(
        out, sequences.stream().flatMap(List::stream).toList(), SequencePacker::writeExample);
  }

  /** Takes up what {@link #write} wrote, in place of what waits. */
  public void read(DataInput in) throws IOException {
    sequences.clear();
    lastLength = 0;
    for (Example example : StateIo.readList(in, SequencePacker::readExample)) {
      if (add(example).isPresent()) {
        throw new IOException(
            "the examples in state fill more than a batch: were sequence-length or batch-size made"
                + " smaller?");
      }
    }
  }

  /** Writes one example. */
  public static void writeExample(DataOutput out, Example example) throws IOException {
    StateIo.writeInts(out, example.tokens());
    for (boolean learned : example.loss()) {
      out.writeBoolean(learned);
    }
  }

  /** Reads what {@link #writeExample} wrote. */
  public static Example readExample(DataInput in) throws IOException {
    int[] tokens = StateIo.readInts(in);
    boolean[] loss = new boolean[tokens.length];
    for (int i = 0; i < loss.length; i++) {
      loss[i] = in.readBoolean();
    }
    return new Example(tokens, loss);
  }
}

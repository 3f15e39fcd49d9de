package io.millrace.model.supervised;

import io.millrace.model.supervised.SupervisedTrainer.Example;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Fills training sequences with examples in order of arrival, and batches with sequences (Llama 2,
 * arXiv 2307.09288, section 3.1). An example is never cut: if it does not fit, it begins the next
 * sequence. A separator, which is never learned, stands between two examples of a sequence.
 *
 * <p>The batches depend on the order of the examples alone. The examples of the incomplete batch
 * are the whole state.
 */
public final class SequencePacker {

  private final int sequenceLength;
  private final int batchSize;
  private final Concatenation concatenation;
  private final OptionalInt separator;

  /** The sequences of the incomplete batch; the last one may have room. */
  private final List<List<Example>> sequences = new ArrayList<>();

  /** Tokens of the last sequence. */
  private int lastLength;

  /**
   * The examples of one update.
   *
   * @param sequences as {@link SupervisedTrainer#step} takes them: a token attends only to tokens
   *     of its own sequence
   * @param examples number of examples in the sequences
   */
  public record Batch(List<Example> sequences, int examples) {}

  /**
   * @param sequenceLength maximum tokens of a training sequence
   * @param batchSize training sequences of an update
   * @param separator the token between two examples, if the tokenizer has one
   * @throws IllegalArgumentException for cross-attending examples without a separator
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
          "cross-attending examples need a separator between them: name a sep_token in"
              + " tokenizer_config.json, or pack the examples");
    }
    this.sequenceLength = sequenceLength;
    this.batchSize = batchSize;
    this.concatenation = concatenation;
    this.separator = separator;
  }

  /**
   * Adds an example.
   *
   * @return the batch that the example no longer fits into, if any
   * @throws IllegalArgumentException if the example is longer than a sequence
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

  /** The incomplete batch, unless it is empty; the packer is empty afterwards. */
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

  /** Number of examples in the incomplete batch. */
  public int waiting() {
    return sequences.stream().mapToInt(List::size).sum();
  }

  /** The examples of a sequence, with a separator after each but the last. */
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

  /** The examples of the incomplete batch in order of arrival: the packer's state. */
  public List<Example> examples() {
    return sequences.stream().flatMap(List::stream).toList();
  }

  /**
   * Replaces the incomplete batch by earlier {@link #examples}.
   *
   * @throws IllegalArgumentException if they fill more than a batch
   */
  public void restore(List<Example> examples) {
    sequences.clear();
    lastLength = 0;
    for (Example example : examples) {
      if (add(example).isPresent()) {
        throw new IllegalArgumentException(
            "%d examples in the state fill more than a batch; use the sequence-length and batch-size"
                    .formatted(examples.size())
                + " that the state was written with");
      }
    }
  }
}

package io.millrace.model.supervised;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.LearningRate;
import io.millrace.model.training.MicroBatches;
import io.millrace.model.training.MicroBatches.Part;
import io.millrace.model.training.Optimizer;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;

/**
 * Supervised fine-tuning: cross-entropy on the learned tokens of examples. These are the answers'
 * tokens in fine-tuning (Llama 2, arXiv 2307.09288, section 3.1) and all tokens in pretraining.
 * {@link SupervisedExamples} makes examples, {@link SequencePacker} makes batches of them.
 */
public final class SupervisedTrainer implements AutoCloseable {

  private final LanguageModel model;
  private final Optimizer optimizer;

  public SupervisedTrainer(
      Backend backend, LanguageModel model, AdamW adamW, LearningRate learningRate) {
    this.model = model;
    this.optimizer = new Optimizer(backend, model.weights(), adamW, learningRate);
  }

  /**
   * A training example. Its tokens attend to earlier tokens of the same example only.
   *
   * @param tokens {@code [tokens]}
   * @param loss which tokens are learned, {@code [tokens]}; the value of the first token is
   *     ignored, since no token predicts it
   */
  public record Example(int[] tokens, boolean[] loss) {

    public Example {
      if (tokens.length != loss.length || tokens.length < 2) {
        throw new IllegalArgumentException(
            "an example needs at least 2 tokens and a loss mask of the same length, but has %d tokens"
                    .formatted(tokens.length)
                + " and a mask of "
                + loss.length);
      }
    }

    /** This example with one more token at its end, which is not learned. */
    Example followedBy(int token) {
      int[] longer = Arrays.copyOf(tokens, tokens.length + 1);
      longer[tokens.length] = token;
      return new Example(longer, Arrays.copyOf(loss, longer.length));
    }

    /** Number of learned tokens. */
    public int learnedTokens() {
      int learned = 0;
      for (boolean counts : loss) {
        learned += counts ? 1 : 0;
      }
      return learned;
    }
  }

  /**
   * The result of a step.
   *
   * @param loss mean of −log p over the learned tokens before the update, in nats
   * @param tokens number of all tokens of the batch
   */
  public record Step(double loss, int learnedTokens, int tokens, Optimizer.Update update) {}

  /**
   * Makes one update on the mean loss over all learned tokens of the batch.
   *
   * @throws IllegalArgumentException if the batch has no learned token
   */
  public Step step(List<Example> batch) {
    List<int[]> sequences = batch.stream().map(Example::tokens).toList();
    List<boolean[]> masks = batch.stream().map(Example::loss).toList();
    // The loss is a mean over the whole batch, not over a micro-batch.
    int learned = Targets.masked(sequences, masks).count();
    if (learned == 0) {
      throw new IllegalArgumentException(
          "none of the %d examples of this batch has a learned token".formatted(batch.size()));
    }
    double loss = 0;
    for (Part part : MicroBatches.of(sequences, 1, model.partTokens())) {
      List<int[]> some = sequences.subList(part.from(), part.to());
      Targets targets = Targets.masked(some, masks.subList(part.from(), part.to()));
      for (float logProb : model.forward(some, targets, 1).logProbs()) {
        loss -= logProb;
      }
      float[] dLogProbs = new float[targets.count()];
      Arrays.fill(dLogProbs, -1f / learned);
      model.backward(optimizer.gradients(), dLogProbs, new float[targets.count()]);
    }
    Optimizer.Update update = optimizer.update();
    int tokens = sequences.stream().mapToInt(sequence -> sequence.length).sum();
    return new Step(loss / learned, learned, tokens, update);
  }

  public LanguageModel model() {
    return model;
  }

  /** Updates so far. */
  public long steps() {
    return optimizer.step();
  }

  public void write(StateWriter out) throws IOException {
    optimizer.write(out);
  }

  public void read(StateReader in) throws IOException {
    optimizer.read(in);
  }

  @Override
  public void close() {
    optimizer.close();
    model.close();
  }
}

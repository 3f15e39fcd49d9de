package io.millrace.model.training;

import io.millrace.model.llama.Parameters;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;

/**
 * Gradients, moments and step counter of one model, and its AdamW update (Loshchilov &amp; Hutter,
 * arXiv 1711.05101, algorithm 2).
 */
public final class Optimizer implements AutoCloseable {

  private final Backend backend;
  private final Parameters weights;
  private final Parameters gradients;
  private final Parameters firstMoments;
  private final Parameters secondMoments;
  private final AdamW settings;
  private final LearningRate learningRate;
  private long step;

  public Optimizer(Backend backend, Parameters weights, AdamW settings, LearningRate learningRate) {
    this.backend = backend;
    this.weights = weights;
    this.gradients = Parameters.zeros(backend, weights.specs());
    this.firstMoments = Parameters.zeros(backend, weights.specs());
    this.secondMoments = Parameters.zeros(backend, weights.specs());
    this.settings = settings;
    this.learningRate = learningRate;
  }

  /**
   * The result of an update.
   *
   * @param gradientNorm global norm of the gradients before clipping
   * @param applied false if the gradients were not finite and the update was skipped
   */
  public record Update(double gradientNorm, double learningRate, boolean applied) {}

  /** The sums that a backward pass adds its gradients to. */
  public Parameters gradients() {
    return gradients;
  }

  /** Updates so far. */
  public long step() {
    return step;
  }

  /** The global norm of the gradients; not finite if a gradient is not. */
  public double gradientNorm() {
    return backend.norm(gradients.flat());
  }

  /** Applies finite gradients ({@link #apply}), and skips others ({@link #skip}). */
  public Update update() {
    return update(step + 1);
  }

  /**
   * Likewise, for a schedule whose steps are not updates.
   *
   * @param position step of the learning rate's schedule, such as the number of records learned
   *     from, with this update's records
   */
  public Update update(long position) {
    return update(position, 1);
  }

  /**
   * Likewise, for a batch that is not full. AdamW's step does not depend on the size of the
   * gradient, so a few records would move the weights as far as a whole batch does.
   *
   * @param share of a full batch, above 0 to 1; the learning rate is multiplied with it
   */
  public Update update(long position, double share) {
    Checks.that(share > 0 && share <= 1, "share of a batch", share, "above 0 to 1");
    double norm = gradientNorm();
    double rate = share * learningRate.at(position);
    return Double.isFinite(norm) ? apply(norm, rate) : skip(norm, rate);
  }

  /**
   * Clips the gradients to the global norm (Pascanu et al., arXiv 1211.5063, algorithm 1): {@code g
   * ← g · min(1, maxGradientNorm / (norm + 1e-6))}, the 1e-6 as in PyTorch. Then updates the
   * weights by {@link AdamW} and zeroes the gradients.
   *
   * @param norm the {@link #gradientNorm}, finite
   */
  public Update apply(double norm) {
    return apply(norm, learningRate.at(step + 1));
  }

  private Update apply(double norm, double rate) {
    if (!Double.isFinite(norm)) {
      throw new IllegalArgumentException("a gradient norm of " + norm + " cannot be applied");
    }
    step++;
    double scale = Math.min(1, settings.maxGradientNorm() / (norm + 1e-6));
    adamW(Parameters::decayed, settings.weightDecay(), rate, scale);
    if (weights.undecayed().isPresent()) {
      adamW(parameters -> parameters.undecayed().orElseThrow(), 0, rate, scale);
    }
    backend.zero(gradients.flat());
    return new Update(norm, rate, true);
  }

  /** Zeroes the gradients; weights, moments and step counter do not change. */
  public Update skip(double norm) {
    return skip(norm, learningRate.at(step + 1));
  }

  private Update skip(double norm, double rate) {
    backend.zero(gradients.flat());
    return new Update(norm, rate, false);
  }

  private interface Part {
    Tensor of(Parameters parameters);
  }

  private void adamW(Part part, double weightDecay, double rate, double scale) {
    backend.adamW(
        part.of(weights),
        part.of(gradients),
        part.of(firstMoments),
        part.of(secondMoments),
        settings,
        weightDecay,
        rate,
        scale,
        step);
  }

  private record State(long step) {}

  /** Writes the step counter, the weights and the moments. */
  public void write(StateWriter out) throws IOException {
    out.write(new State(step));
    out.write(TensorState.of(backend, weights.flat()));
    out.write(TensorState.of(backend, firstMoments.flat()));
    out.write(TensorState.of(backend, secondMoments.flat()));
  }

  /** Restores what {@link #write} wrote, bit for bit. */
  public void read(StateReader in) throws IOException {
    step = in.read(State.class).step();
    TensorState.read(in.raw(), weights.flat());
    TensorState.read(in.raw(), firstMoments.flat());
    TensorState.read(in.raw(), secondMoments.flat());
  }

  @Override
  public void close() {
    gradients.close();
    firstMoments.close();
    secondMoments.close();
  }
}

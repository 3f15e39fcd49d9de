package io.millrace.model.training;

import io.millrace.model.llama.Parameters;
import io.millrace.model.parallel.Ranks;
import io.millrace.model.parallel.Shares;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;
import io.millrace.schemas.state.LargeValue;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.Optional;

/**
 * Gradients, moments and step counter of one model, and its AdamW update (Loshchilov &amp; Hutter,
 * arXiv 1711.05101, algorithm 2).
 *
 * <p>Several {@linkplain Ranks ranks} may hold the same model. {@link #reduce} then makes the sum
 * of their gradients. Sharded, each rank has the moments of a part of the weights and updates that
 * part, and {@link #gatherWeights} gives every rank the whole (ZeRO stage 1, Rajbhandari et al.,
 * arXiv 1910.02054, section 5.1). The weights have the same bits either way.
 */
public final class Optimizer implements AutoCloseable {

  private final Backend backend;
  private final Parameters weights;
  private final Parameters gradients;

  /** Of the elements from {@link #from} on. */
  private final Tensor firstMoments;

  private final Tensor secondMoments;
  private final Ranks ranks;

  /** The elements whose moments each rank has; null: each has all. */
  private final long[] bounds;

  private final long from;

  /** What this rank updates: weights with decay, and without. */
  private final Optional<Section> decayed;

  private final Optional<Section> undecayed;
  private final AdamW settings;
  private final LearningRate learningRate;
  private long step;

  public Optimizer(Backend backend, Parameters weights, AdamW settings, LearningRate learningRate) {
    this(backend, weights, settings, learningRate, Ranks.alone(), false);
  }

  /**
   * The optimizer of one rank.
   *
   * @param sharded whether each rank has the moments of a part of the weights
   * @throws IllegalArgumentException if there are fewer weights than ranks to shard them
   */
  public Optimizer(
      Backend backend,
      Parameters weights,
      AdamW settings,
      LearningRate learningRate,
      Ranks ranks,
      boolean sharded) {
    this.backend = backend;
    this.weights = weights;
    this.ranks = ranks;
    long total = weights.flat().size();
    this.bounds = sharded && !ranks.isAlone() ? Shares.ofElements(total, ranks.size()) : null;
    this.from = bounds == null ? 0 : bounds[ranks.rank()];
    int own = Math.toIntExact(bounds == null ? total : bounds[ranks.rank() + 1] - from);
    if (own == 0) {
      throw new IllegalArgumentException(
          "%d weights are too few to shard among %d ranks".formatted(total, ranks.size()));
    }
    this.gradients = Parameters.zeros(backend, weights.specs());
    this.firstMoments = backend.allocate(own);
    this.secondMoments = backend.allocate(own);
    this.settings = settings;
    this.learningRate = learningRate;
    long boundary = weights.decayed().size();
    this.decayed = section(from, Math.min(from + own, boundary));
    this.undecayed = section(Math.max(from, boundary), from + own);
  }

  /** Slices of the weights, and what belongs to them. */
  private record Section(
      Tensor weights, Tensor gradients, Tensor firstMoments, Tensor secondMoments) {}

  private Optional<Section> section(long begin, long end) {
    if (begin >= end) {
      return Optional.empty();
    }
    int count = Math.toIntExact(end - begin);
    return Optional.of(
        new Section(
            weights.flat().slice(begin, count),
            gradients.flat().slice(begin, count),
            firstMoments.slice(begin - from, count),
            secondMoments.slice(begin - from, count)));
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

  /**
   * Replaces the gradients by their sum over the ranks. Sharded, a rank above 0 gets the sum for
   * its part of the weights alone.
   */
  public void reduce() {
    if (bounds == null) {
      ranks.sum(gradients.flat());
    } else {
      ranks.sum(gradients.flat(), bounds);
    }
  }

  /**
   * The global norm of the gradients; not finite if a gradient is not. With several ranks it is
   * that of the sum, as rank 0 computes it.
   */
  public double gradientNorm() {
    return ranks.ofFirst(ranks.rank() == 0 ? backend.norm(gradients.flat()) : 0);
  }

  /** Gives each rank the weights that the others updated. */
  public void gatherWeights() {
    if (bounds != null) {
      ranks.gather(weights.flat(), bounds);
    }
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
    decayed.ifPresent(section -> adamW(section, settings.weightDecay(), rate, scale));
    undecayed.ifPresent(section -> adamW(section, 0, rate, scale));
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

  private void adamW(Section section, double weightDecay, double rate, double scale) {
    backend.adamW(
        section.weights(),
        section.gradients(),
        section.firstMoments(),
        section.secondMoments(),
        settings,
        weightDecay,
        rate,
        scale,
        step);
  }

  private record State(long step) {}

  /**
   * Writes the step counter, the weights and the moments: the same bytes with any number of ranks.
   * Sharded, the other ranks must call {@link #sendMoments} when this is written.
   */
  public void write(StateWriter out) throws IOException {
    out.write(new State(step));
    out.write(TensorState.of(backend, weights.flat()));
    out.write(moments(firstMoments));
    out.write(moments(secondMoments));
  }

  private LargeValue moments(Tensor own) {
    if (bounds == null) {
      return TensorState.of(backend, own);
    }
    // Before the first update they are zeros, on ranks that may not be there yet.
    long total = weights.flat().size();
    return step == 0
        ? out -> TensorState.writeZeros(out, total)
        : out -> {
          out.writeLong(total);
          ranks.collect(own, bounds, out);
        };
  }

  /** Sends this rank's moments to rank 0, which writes them with the others. */
  public void sendMoments() throws IOException {
    if (bounds != null && step > 0) {
      ranks.collect(firstMoments, bounds, null);
      ranks.collect(secondMoments, bounds, null);
    }
  }

  /** Restores what {@link #write} wrote, bit for bit, with any number of ranks. */
  public void read(StateReader in) throws IOException {
    step = in.read(State.class).step();
    long total = weights.flat().size();
    TensorState.read(in.raw(), weights.flat());
    TensorState.read(in.raw(), total, from, firstMoments);
    TensorState.read(in.raw(), total, from, secondMoments);
  }

  @Override
  public void close() {
    gradients.close();
    firstMoments.close();
    secondMoments.close();
  }
}

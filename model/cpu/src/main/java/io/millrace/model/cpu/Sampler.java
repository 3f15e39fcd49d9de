package io.millrace.model.cpu;

import static io.millrace.model.cpu.tiles.Lanes.WIDTH;
import static io.millrace.model.cpu.tiles.Lanes.all;
import static io.millrace.model.cpu.tiles.Lanes.exp;
import static io.millrace.model.cpu.tiles.Lanes.load;
import static io.millrace.model.cpu.tiles.Lanes.rest;
import static io.millrace.model.cpu.tiles.Lanes.store;
import static io.millrace.model.cpu.tiles.Lanes.sum;
import static io.millrace.model.cpu.tiles.Lanes.zero;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.millrace.model.tensor.Draws;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/** Draws a token from each row of logits, independently of the other rows. */
final class Sampler {

  private final Workspace workspace;
  private final MemorySegment logits;
  private final int vocab;
  private final Draws draws;

  Sampler(Workspace workspace, CpuTensor logits, Draws draws) {
    this.workspace = workspace;
    this.logits = logits.memory();
    this.vocab = logits.columns();
    this.draws = draws;
  }

  /** Draws the tokens, see {@link CpuBackend#sample}. */
  void draw(int[] tokens, float[] logProbs, WorkPool pool) {
    pool.run(
        tokens.length,
        (row, worker) -> {
          long at = (long) row * vocab;
          int best = mostProbable(at);
          float max = logits.getAtIndex(JAVA_FLOAT, at + best);
          float temperature = draws.temperatures()[row];
          float inverse = temperature == 0 ? 1 : 1 / temperature;
          MemorySegment p = workspace.of(worker, vocab).memory();
          double sum = weights(p, at, max, inverse);
          int token = temperature == 0 ? best : invert(p, row, sum);
          tokens[row] = token;
          float logit = logits.getAtIndex(JAVA_FLOAT, at + token);
          logProbs[row] = (float) ((double) (logit - max) * inverse - Math.log(sum));
        });
  }

  /** The token with the highest logit, and the lowest id among equals. */
  private int mostProbable(long at) {
    FloatVector highest = all(Float.NEGATIVE_INFINITY);
    int i = 0;
    for (; i <= vocab - WIDTH; i += WIDTH) {
      highest = highest.max(load(logits, at + i));
    }
    float max = highest.reduceLanes(VectorOperators.MAX);
    for (; i < vocab; i++) {
      max = Math.max(max, logits.getAtIndex(JAVA_FLOAT, at + i));
    }
    for (i = 0; i < vocab; i++) {
      if (logits.getAtIndex(JAVA_FLOAT, at + i) == max) {
        return i;
      }
    }
    throw new IllegalArgumentException(
        "sample: a row of logits holds NaN; check that all weights are finite");
  }

  /** Sets p = e^((logit − max) / temperature); returns the sum. */
  private double weights(MemorySegment p, long at, float max, float inverse) {
    double sum = 0;
    for (int i = 0; i < vocab; i += WIDTH) {
      VectorMask<Float> mask = rest(i, vocab);
      FloatVector weight = exp(load(logits, at + i, mask).sub(max).mul(inverse));
      store(weight, p, i, mask);
      sum += sum(zero().blend(weight, mask));
    }
    return sum;
  }

  /**
   * The token whose interval of the cumulative distribution of the nucleus contains the uniform
   * number of the row.
   */
  private int invert(MemorySegment p, int row, double sum) {
    double kept = draws.topPs()[row] == 1 ? sum : keepNucleus(p, draws.topPs()[row] * sum);
    double target = draws.uniforms()[row] * kept;
    int last = 0;
    for (int i = 0; i < vocab; i++) {
      float weight = p.getAtIndex(JAVA_FLOAT, i);
      if (weight > 0) {
        last = i;
        target -= weight;
        if (target < 0) {
          return i;
        }
      }
    }
    // Rounding can leave a small rest of the target after the last token.
    return last;
  }

  /** Sets p to 0 for all tokens outside the nucleus; returns the mass of the nucleus. */
  private double keepNucleus(MemorySegment p, double mass) {
    // The bits of positive floats sort like the floats. Equal ones sort by token id.
    long[] order = new long[vocab];
    for (int i = 0; i < vocab; i++) {
      order[i] = ~(long) Float.floatToIntBits(p.getAtIndex(JAVA_FLOAT, i)) << 32 | i;
    }
    Arrays.sort(order);
    double kept = 0;
    for (long entry : order) {
      int i = (int) entry;
      if (kept < mass) {
        kept += p.getAtIndex(JAVA_FLOAT, i);
      } else {
        p.setAtIndex(JAVA_FLOAT, i, 0);
      }
    }
    return kept;
  }
}

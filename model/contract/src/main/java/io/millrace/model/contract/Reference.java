package io.millrace.model.contract;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Queries;
import io.millrace.model.tensor.Rope;

/**
 * The readable definition of every kernel of {@link Backend}: plain loops in float64, to be read
 * from top to bottom in the order of a Llama's forward pass. Each backward pass follows its forward
 * pass.
 *
 * <pre>
 *   1  embedding          gatherRows        gatherRowsBackward
 *   2  RMSNorm            rmsNorm           rmsNormBackward
 *   3  matrix product     linear            linearBackward
 *   4  rotary positions   rope              rope, with backward = true
 *   5  attention          attention         attentionBackward
 *   6  SwiGLU             swiGlu            swiGluBackward
 *   7  head               logProbs          logProbsBackward
 *   8  optimizer          {@link ReferenceAdamW}
 * </pre>
 *
 * <p>A matrix {@code [rows, columns]} is an array in row-major order: element (r, c) is at index
 * {@code r * columns + c}. A forward pass returns y, a new array. A backward pass gets dy, the
 * derivative of the loss by y, and <b>adds</b> to the derivatives by its inputs.
 *
 * <p>{@code ReferenceTest} checks each backward pass against finite differences of its forward
 * pass.
 */
final class Reference {

  private Reference() {}

  // ---------------------------------------------------------------- 1  embedding

  /**
   * {@code y[r] = x[rows[r]]}.
   *
   * @param x {@code [any, columns]}
   * @param rows indices of rows of x, {@code [n]}
   * @return y {@code [n, columns]}
   */
  static double[] gatherRows(double[] x, int[] rows, int columns) {
    double[] y = new double[rows.length * columns];
    for (int r = 0; r < rows.length; r++) {
      for (int c = 0; c < columns; c++) {
        y[r * columns + c] = x[rows[r] * columns + c];
      }
    }
    return y;
  }

  /** {@code dx[rows[r]] += dy[r]}. */
  static void gatherRowsBackward(double[] dx, int[] rows, double[] dy, int columns) {
    for (int r = 0; r < rows.length; r++) {
      for (int c = 0; c < columns; c++) {
        dx[rows[r] * columns + c] += dy[r * columns + c];
      }
    }
  }

  // ---------------------------------------------------------------- 2  RMSNorm

  /**
   * {@code y = x / rms ∘ w}, with {@code rms = √(Σx²/h + ε)} of each row (Zhang &amp; Sennrich,
   * arXiv 1910.07467, equation 4).
   *
   * @param x {@code [n, h]}
   * @param w {@code [h]}
   * @return y {@code [n, h]}
   */
  static double[] rmsNorm(double[] x, double[] w, int n, int h, double epsilon) {
    double[] y = new double[n * h];
    for (int r = 0; r < n; r++) {
      double rms = rms(x, r, h, epsilon);
      for (int c = 0; c < h; c++) {
        y[r * h + c] = x[r * h + c] / rms * w[c];
      }
    }
    return y;
  }

  /**
   * For each row: {@code dw_c += dy_c · x_c / rms} and {@code dx_c += dy_c · w_c / rms − x_c · Σ_k
   * (dy_k · w_k · x_k) / (h · rms³)}.
   */
  static void rmsNormBackward(
      double[] dx, double[] dw, double[] dy, double[] x, double[] w, int n, int h, double epsilon) {
    for (int r = 0; r < n; r++) {
      double rms = rms(x, r, h, epsilon);
      double dot = 0;
      for (int c = 0; c < h; c++) {
        dot += dy[r * h + c] * w[c] * x[r * h + c];
        dw[c] += dy[r * h + c] * x[r * h + c] / rms;
      }
      for (int c = 0; c < h; c++) {
        dx[r * h + c] += dy[r * h + c] * w[c] / rms - x[r * h + c] * dot / (h * rms * rms * rms);
      }
    }
  }

  private static double rms(double[] x, int row, int h, double epsilon) {
    double squares = 0;
    for (int c = 0; c < h; c++) {
      squares += x[row * h + c] * x[row * h + c];
    }
    return Math.sqrt(squares / h + epsilon);
  }

  // ---------------------------------------------------------------- 3  matrix product

  /**
   * {@code y = x · wᵀ}.
   *
   * @param x {@code [n, in]}
   * @param w {@code [out, in]}
   * @return y {@code [n, out]}
   */
  static double[] linear(double[] x, double[] w, int n, int in, int out) {
    double[] y = new double[n * out];
    for (int r = 0; r < n; r++) {
      for (int o = 0; o < out; o++) {
        for (int i = 0; i < in; i++) {
          y[r * out + o] += x[r * in + i] * w[o * in + i];
        }
      }
    }
    return y;
  }

  /** {@code dx += dy · w} and {@code dw += dyᵀ · x}. */
  static void linearBackward(
      double[] dx, double[] dw, double[] dy, double[] x, double[] w, int n, int in, int out) {
    for (int r = 0; r < n; r++) {
      for (int o = 0; o < out; o++) {
        for (int i = 0; i < in; i++) {
          dx[r * in + i] += dy[r * out + o] * w[o * in + i];
          dw[o * in + i] += dy[r * out + o] * x[r * in + i];
        }
      }
    }
  }

  // ---------------------------------------------------------------- 4  rotary positions

  /**
   * Rotates the pair (a, b) = (x[j], x[j + d/2]) of each head by the angle φ = position · θ_j, or
   * by −φ in the backward pass (Su et al., arXiv 2104.09864, equation 34): {@code (a · cos φ − b ·
   * sin φ, b · cos φ + a · sin φ)}.
   *
   * @param x {@code [n, columns]}, heads of width d side by side
   * @param positions {@code [n]}
   * @return y {@code [n, columns]}
   */
  static double[] rope(double[] x, int[] positions, int columns, Rope rope, boolean backward) {
    double[] y = new double[x.length];
    double[] frequencies = rope.inverseFrequencies();
    int headDim = rope.headDim();
    int half = headDim / 2;
    for (int r = 0; r < positions.length; r++) {
      for (int head = 0; head < columns / headDim; head++) {
        for (int j = 0; j < half; j++) {
          double angle = positions[r] * frequencies[j];
          double cos = Math.cos(angle);
          double sin = Math.sin(backward ? -angle : angle);
          int a = r * columns + head * headDim + j;
          int b = a + half;
          y[a] = x[a] * cos - x[b] * sin;
          y[b] = x[b] * cos + x[a] * sin;
        }
      }
    }
    return y;
  }

  // ---------------------------------------------------------------- 5  attention

  /**
   * For each query and head: {@code y = Σ_u p_u · v_u}, with p from {@link #probabilities} (Vaswani
   * et al., arXiv 1706.03762, equation 1). Query head i reads key head {@code i / (heads /
   * kvHeads)} (Ainslie et al., arXiv 2305.13245, section 2.2).
   *
   * @param q {@code [m, heads · d]}
   * @param k {@code [n, kvHeads · d]}
   * @param v {@code [n, kvHeads · d]}
   * @return y {@code [m, heads · d]}
   */
  static double[] attention(
      double[] q, double[] k, double[] v, Queries queries, int heads, int kvHeads, int d) {
    double[] y = new double[q.length];
    int[] positions = queries.positions();
    for (int i = 0; i < queries.count(); i++) {
      int start = queries.rows()[i] - positions[i];
      for (int head = 0; head < heads; head++) {
        int kvHead = head / (heads / kvHeads);
        double[] p = probabilities(q, k, start, i, positions[i], head, kvHead, heads, kvHeads, d);
        for (int u = 0; u < p.length; u++) {
          for (int c = 0; c < d; c++) {
            y[(i * heads + head) * d + c] += p[u] * v[((start + u) * kvHeads + kvHead) * d + c];
          }
        }
      }
    }
    return y;
  }

  /**
   * For each query and head, over the tokens u that it attends to:
   *
   * <pre>
   *   dv_u += p_u · dy
   *   dp_u  = dy · v_u
   *   ds_u  = p_u · (dp_u − Σ_w p_w · dp_w) / √d        derivative of the softmax
   *   dq   += Σ_u ds_u · k_u
   *   dk_u += ds_u · q
   * </pre>
   */
  static void attentionBackward(
      double[] dq,
      double[] dk,
      double[] dv,
      double[] dy,
      double[] q,
      double[] k,
      double[] v,
      Queries queries,
      int heads,
      int kvHeads,
      int d) {
    double scale = 1 / Math.sqrt(d);
    int[] positions = queries.positions();
    for (int i = 0; i < queries.count(); i++) {
      int start = queries.rows()[i] - positions[i];
      for (int head = 0; head < heads; head++) {
        int kvHead = head / (heads / kvHeads);
        double[] p = probabilities(q, k, start, i, positions[i], head, kvHead, heads, kvHeads, d);
        double[] dp = new double[p.length];
        double mean = 0;
        for (int u = 0; u < p.length; u++) {
          for (int c = 0; c < d; c++) {
            double g = dy[(i * heads + head) * d + c];
            int at = ((start + u) * kvHeads + kvHead) * d + c;
            dv[at] += p[u] * g;
            dp[u] += g * v[at];
          }
          mean += p[u] * dp[u];
        }
        for (int u = 0; u < p.length; u++) {
          double ds = p[u] * (dp[u] - mean) * scale;
          for (int c = 0; c < d; c++) {
            int query = (i * heads + head) * d + c;
            int key = ((start + u) * kvHeads + kvHead) * d + c;
            dq[query] += ds * k[key];
            dk[key] += ds * q[query];
          }
        }
      }
    }
  }

  /**
   * {@code p = softmax(q · kᵀ / √d)} of one query and head, over the tokens of its sequence up to
   * its own position.
   *
   * @param start packed row of the first token of the sequence
   * @param i index of the query
   * @return p {@code [position + 1]}
   */
  private static double[] probabilities(
      double[] q,
      double[] k,
      int start,
      int i,
      int position,
      int head,
      int kvHead,
      int heads,
      int kvHeads,
      int d) {
    double[] scores = new double[position + 1];
    for (int u = 0; u < scores.length; u++) {
      for (int c = 0; c < d; c++) {
        scores[u] += q[(i * heads + head) * d + c] * k[((start + u) * kvHeads + kvHead) * d + c];
      }
      scores[u] /= Math.sqrt(d);
    }
    double logSum = logSumExp(scores);
    for (int u = 0; u < scores.length; u++) {
      scores[u] = Math.exp(scores[u] - logSum);
    }
    return scores;
  }

  // ---------------------------------------------------------------- 6  SwiGLU

  /**
   * {@code y = gate · σ(gate) · up}, element by element (Shazeer, arXiv 2002.05202, equation 6).
   *
   * @param gate {@code [n, f]}
   * @param up {@code [n, f]}
   * @return y {@code [n, f]}
   */
  static double[] swiGlu(double[] gate, double[] up) {
    double[] y = new double[gate.length];
    for (int i = 0; i < y.length; i++) {
      y[i] = gate[i] / (1 + Math.exp(-gate[i])) * up[i];
    }
    return y;
  }

  /**
   * With s = σ(gate): {@code dgate += dy · up · (s + gate · s · (1 − s))} and {@code dup += dy ·
   * gate · s}.
   */
  static void swiGluBackward(
      double[] dgate, double[] dup, double[] dy, double[] gate, double[] up) {
    for (int i = 0; i < dy.length; i++) {
      double sigma = 1 / (1 + Math.exp(-gate[i]));
      dgate[i] += dy[i] * up[i] * (sigma + gate[i] * sigma * (1 - sigma));
      dup[i] += dy[i] * gate[i] * sigma;
    }
  }

  // ---------------------------------------------------------------- 7  head

  /**
   * With {@code p = softmax(x · headᵀ / temperature)} of each row: log p of the target, and the
   * entropy {@code H = −Σ p · log p}, both in nats.
   *
   * @param x {@code [n, h]}
   * @param head {@code [vocab, h]}
   * @param targets token ids, {@code [n]}
   * @return log-probabilities {@code [n]}, then entropies {@code [n]}
   */
  static double[][] logProbs(
      double[] x, double[] head, int[] targets, int h, int vocab, double temperature) {
    double[] logProbs = new double[targets.length];
    double[] entropies = new double[targets.length];
    for (int r = 0; r < targets.length; r++) {
      double[] logP = logSoftmax(x, head, r, h, vocab, temperature);
      logProbs[r] = logP[targets[r]];
      entropies[r] = entropy(logP);
    }
    return new double[][] {logProbs, entropies};
  }

  /**
   * For each row and token, with 1{…} the indicator:
   *
   * <pre>
   *   dz     = dLogProb · (1{token = target} − p) − dEntropy · p · (log p + H)
   *   dx    += dz / temperature · head[token]
   *   dhead[token] += dz / temperature · x
   * </pre>
   */
  static void logProbsBackward(
      double[] dx,
      double[] dhead,
      double[] dLogProbs,
      double[] dEntropies,
      double[] x,
      double[] head,
      int[] targets,
      int h,
      int vocab,
      double temperature) {
    for (int r = 0; r < targets.length; r++) {
      double[] logP = logSoftmax(x, head, r, h, vocab, temperature);
      double entropy = entropy(logP);
      for (int token = 0; token < vocab; token++) {
        double p = Math.exp(logP[token]);
        double dz =
            dLogProbs[r] * ((token == targets[r] ? 1 : 0) - p)
                - dEntropies[r] * p * (logP[token] + entropy);
        for (int c = 0; c < h; c++) {
          dx[r * h + c] += dz / temperature * head[token * h + c];
          dhead[token * h + c] += dz / temperature * x[r * h + c];
        }
      }
    }
  }

  /** log p of every token for one row, {@code [vocab]}. */
  private static double[] logSoftmax(
      double[] x, double[] head, int row, int h, int vocab, double temperature) {
    double[] logits = new double[vocab];
    for (int token = 0; token < vocab; token++) {
      for (int c = 0; c < h; c++) {
        logits[token] += x[row * h + c] * head[token * h + c];
      }
      logits[token] /= temperature;
    }
    double logSum = logSumExp(logits);
    for (int token = 0; token < vocab; token++) {
      logits[token] -= logSum;
    }
    return logits;
  }

  private static double entropy(double[] logP) {
    double sum = 0;
    for (double value : logP) {
      sum -= Math.exp(value) * value;
    }
    return sum;
  }

  /** log Σ exp(values), without overflow. */
  private static double logSumExp(double[] values) {
    double max = Double.NEGATIVE_INFINITY;
    for (double value : values) {
      max = Math.max(max, value);
    }
    double sum = 0;
    for (double value : values) {
      sum += Math.exp(value - max);
    }
    return max + Math.log(sum);
  }
}

package io.millrace.model.contract;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Queries;
import io.millrace.model.tensor.Rope;

/**
 * Every kernel of {@link Backend} as plain loops in float64. Like the kernels, a forward pass
 * returns new values and a backward pass adds to its gradients; {@code ReferenceTest} proves each
 * backward pass by finite differences of its forward pass. Optimiser: {@link ReferenceAdamW}.
 */
final class Reference {

  private Reference() {}

  /** out [n, o] = x [n, i] · wᵀ, w [o, i]. */
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

  static double[] gatherRows(double[] x, int[] rows, int columns) {
    double[] y = new double[rows.length * columns];
    for (int r = 0; r < rows.length; r++) {
      System.arraycopy(x, rows[r] * columns, y, r * columns, columns);
    }
    return y;
  }

  static void gatherRowsBackward(double[] dx, int[] rows, double[] dy, int columns) {
    for (int r = 0; r < rows.length; r++) {
      for (int c = 0; c < columns; c++) {
        dx[rows[r] * columns + c] += dy[r * columns + c];
      }
    }
  }

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

  /** With y = x·w/s, s = √(Σx²/h + ε): dx_c = dy_c·w_c/s − x_c/(h·s³)·Σ_k dy_k·w_k·x_k. */
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

  /** The rotation by the positions' angles, or by their negatives; rows hold whole heads. */
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

  static double[] attention(
      double[] q, double[] k, double[] v, Queries queries, int heads, int kvHeads, int d) {
    double[] out = new double[q.length];
    int[] positions = queries.positions();
    for (int i = 0; i < queries.count(); i++) {
      int start = queries.rows()[i] - positions[i];
      for (int head = 0; head < heads; head++) {
        int kvHead = head / (heads / kvHeads);
        double[] p = probabilities(q, k, start, i, positions[i], head, kvHead, heads, kvHeads, d);
        for (int u = 0; u < p.length; u++) {
          for (int c = 0; c < d; c++) {
            out[(i * heads + head) * d + c] += p[u] * v[((start + u) * kvHeads + kvHead) * d + c];
          }
        }
      }
    }
    return out;
  }

  static void attentionBackward(
      double[] dq,
      double[] dk,
      double[] dv,
      double[] dout,
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
            double g = dout[(i * heads + head) * d + c];
            int at = ((start + u) * kvHeads + kvHead) * d + c;
            dv[at] += p[u] * g;
            dp[u] += g * v[at];
          }
          mean += p[u] * dp[u];
        }
        for (int u = 0; u < p.length; u++) {
          double dScore = p[u] * (dp[u] - mean) * scale;
          for (int c = 0; c < d; c++) {
            int query = (i * heads + head) * d + c;
            int key = ((start + u) * kvHeads + kvHead) * d + c;
            dq[query] += dScore * k[key];
            dk[key] += dScore * q[query];
          }
        }
      }
    }
  }

  /** What a head of query i, at a position, pays to each token of its sequence up to that. */
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

  static double[] swiGlu(double[] gate, double[] up) {
    double[] y = new double[gate.length];
    for (int i = 0; i < y.length; i++) {
      y[i] = gate[i] / (1 + Math.exp(-gate[i])) * up[i];
    }
    return y;
  }

  static void swiGluBackward(
      double[] dgate, double[] dup, double[] dy, double[] gate, double[] up) {
    for (int i = 0; i < dy.length; i++) {
      double sigma = 1 / (1 + Math.exp(-gate[i]));
      dgate[i] += dy[i] * up[i] * (sigma + gate[i] * sigma * (1 - sigma));
      dup[i] += dy[i] * gate[i] * sigma;
    }
  }

  /** log p of every target, then the entropy of every row. */
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
        double dLogit =
            dLogProbs[r] * ((token == targets[r] ? 1 : 0) - p)
                - dEntropies[r] * p * (logP[token] + entropy);
        for (int c = 0; c < h; c++) {
          dx[r * h + c] += dLogit / temperature * head[token * h + c];
          dhead[token * h + c] += dLogit / temperature * x[r * h + c];
        }
      }
    }
  }

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

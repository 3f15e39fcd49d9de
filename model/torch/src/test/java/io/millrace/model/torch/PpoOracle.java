package io.millrace.model.torch;

import io.millrace.model.ppo.PpoRollout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleSupplier;
import java.util.stream.IntStream;

/**
 * One PPO iteration in float64 without any of Millrace's formulas: a Llama token by token, losses
 * as sums, gradients as central differences of the losses, AdamW. Every mini-batch is the whole
 * batch. Weights are by name, row by row.
 */
final class PpoOracle {

  private static final int HIDDEN = 8;
  private static final int LAYERS = 2;
  private static final int HEADS = 2;
  private static final int HEAD = 4;
  private static final double CLIP = 0.2;
  private static final double BETA = 0.05;
  private static final double LAMBDA = 0.95;

  private final List<PpoRollout> rollouts;
  private final int epochs;
  private final double learningRate;
  final Model policy;
  final Model critic;

  PpoOracle(
      List<PpoRollout> rollouts,
      int epochs,
      double learningRate,
      Map<String, float[]> policy,
      Map<String, float[]> critic) {
    this.rollouts = rollouts;
    this.epochs = epochs;
    this.learningRate = learningRate;
    this.policy = new Model(policy);
    this.critic = new Model(critic);
  }

  /** Weights with the state of AdamW. */
  static final class Model {
    final Map<String, double[]> weights = new LinkedHashMap<>();
    private final Map<String, double[]> first = new LinkedHashMap<>();
    private final Map<String, double[]> second = new LinkedHashMap<>();
    private int steps;

    private Model(Map<String, float[]> values) {
      values.forEach(
          (name, each) -> {
            double[] wide = new double[each.length];
            Arrays.setAll(wide, i -> each[i]);
            weights.put(name, wide);
            first.put(name, new double[each.length]);
            second.put(name, new double[each.length]);
          });
    }

    /** Clips the gradient to a norm of 1, then AdamW with Llama 2's settings. */
    private void update(DoubleSupplier loss, double rate) {
      Map<String, double[]> gradients = new LinkedHashMap<>();
      double squares = 0;
      for (String name : weights.keySet()) {
        double[] w = weights.get(name);
        double[] g = new double[w.length];
        for (int i = 0; i < w.length; i++) {
          double before = w[i];
          double step = 1e-5;
          w[i] = before + step;
          double above = loss.getAsDouble();
          w[i] = before - step;
          g[i] = (above - loss.getAsDouble()) / (2 * step);
          w[i] = before;
          squares += g[i] * g[i];
        }
        gradients.put(name, g);
      }
      double scale = Math.min(1, 1 / (Math.sqrt(squares) + 1e-6));
      steps++;
      weights.forEach(
          (name, w) -> {
            double decay = name.contains("norm") ? 0 : 0.1;
            double[] m = first.get(name);
            double[] v = second.get(name);
            for (int i = 0; i < w.length; i++) {
              double g = scale * gradients.get(name)[i];
              m[i] = 0.9 * m[i] + 0.1 * g;
              v[i] = 0.95 * v[i] + 0.05 * g * g;
              double mean = m[i] / (1 - Math.pow(0.9, steps));
              double root = Math.sqrt(v[i] / (1 - Math.pow(0.95, steps)));
              w[i] -= rate * decay * w[i];
              w[i] -= rate * mean / (root + 1e-5);
            }
          });
    }

    private double[] product(String name, double[] x) {
      double[] w = weights.get(name);
      double[] y = new double[w.length / x.length];
      for (int i = 0; i < w.length; i++) {
        y[i / x.length] += w[i] * x[i % x.length];
      }
      return y;
    }

    private double[] norm(String name, double[] x) {
      double squares = 0;
      for (double each : x) {
        squares += each * each;
      }
      double root = Math.sqrt(squares / x.length + 1e-5);
      double[] y = new double[x.length];
      Arrays.setAll(y, i -> weights.get(name)[i] * x[i] / root);
      return y;
    }

    /** The last hidden state of each token, after the final norm. */
    private List<double[]> hidden(int[] tokens) {
      List<List<double[]>> keys = new ArrayList<>();
      List<List<double[]>> values = new ArrayList<>();
      for (int layer = 0; layer < LAYERS; layer++) {
        keys.add(new ArrayList<>());
        values.add(new ArrayList<>());
      }
      List<double[]> out = new ArrayList<>();
      for (int t = 0; t < tokens.length; t++) {
        double[] embedding = weights.get("model.embed_tokens.weight");
        double[] x = Arrays.copyOfRange(embedding, tokens[t] * HIDDEN, (tokens[t] + 1) * HIDDEN);
        for (int layer = 0; layer < LAYERS; layer++) {
          String prefix = "model.layers." + layer + ".";
          double[] y = norm(prefix + "input_layernorm.weight", x);
          double[] q = rotated(product(prefix + "self_attn.q_proj.weight", y), t);
          keys.get(layer).add(rotated(product(prefix + "self_attn.k_proj.weight", y), t));
          values.get(layer).add(product(prefix + "self_attn.v_proj.weight", y));
          double[] attended = attention(q, keys.get(layer), values.get(layer));
          add(x, product(prefix + "self_attn.o_proj.weight", attended));
          y = norm(prefix + "post_attention_layernorm.weight", x);
          double[] gate = product(prefix + "mlp.gate_proj.weight", y);
          double[] up = product(prefix + "mlp.up_proj.weight", y);
          for (int i = 0; i < up.length; i++) {
            up[i] *= gate[i] / (1 + Math.exp(-gate[i]));
          }
          add(x, product(prefix + "mlp.down_proj.weight", up));
        }
        out.add(norm("model.norm.weight", x));
      }
      return out;
    }

    private static void add(double[] x, double[] y) {
      for (int i = 0; i < x.length; i++) {
        x[i] += y[i];
      }
    }

    /** All heads share one key and value head. */
    private static double[] attention(double[] q, List<double[]> keys, List<double[]> values) {
      double[] out = new double[HEADS * HEAD];
      for (int head = 0; head < HEADS; head++) {
        double sum = 0;
        double[] attended = new double[HEAD];
        for (int s = 0; s < keys.size(); s++) {
          double score = 0;
          for (int i = 0; i < HEAD; i++) {
            score += q[head * HEAD + i] * keys.get(s)[i];
          }
          double weight = Math.exp(score / Math.sqrt(HEAD));
          sum += weight;
          for (int i = 0; i < HEAD; i++) {
            attended[i] += weight * values.get(s)[i];
          }
        }
        for (int i = 0; i < HEAD; i++) {
          out[head * HEAD + i] = attended[i] / sum;
        }
      }
      return out;
    }

    private static double[] rotated(double[] x, int position) {
      double[] y = new double[x.length];
      for (int start = 0; start < x.length; start += HEAD) {
        for (int i = 0; i < HEAD / 2; i++) {
          double angle = position * Math.pow(10_000, -2.0 * i / HEAD);
          double a = x[start + i];
          double b = x[start + HEAD / 2 + i];
          y[start + i] = a * Math.cos(angle) - b * Math.sin(angle);
          y[start + HEAD / 2 + i] = b * Math.cos(angle) + a * Math.sin(angle);
        }
      }
      return y;
    }
  }

  /** Log-probs of a response's tokens. */
  double[] logProbs(PpoRollout rollout) {
    List<double[]> hidden = policy.hidden(tokens(rollout));
    double[] logProbs = new double[rollout.response().length];
    for (int t = 0; t < logProbs.length; t++) {
      double[] x = hidden.get(rollout.prompt().length + t - 1);
      double[] logits = policy.product("model.embed_tokens.weight", x);
      double sum = 0;
      for (double logit : logits) {
        sum += Math.exp(logit);
      }
      logProbs[t] = logits[rollout.response()[t]] - Math.log(sum);
    }
    return logProbs;
  }

  private double[] values(PpoRollout rollout) {
    List<double[]> hidden = critic.hidden(tokens(rollout));
    double[] values = new double[rollout.response().length];
    for (int t = 0; t < values.length; t++) {
      values[t] = critic.product("score.weight", hidden.get(rollout.prompt().length + t - 1))[0];
    }
    return values;
  }

  private static int[] tokens(PpoRollout rollout) {
    int[] tokens =
        Arrays.copyOf(rollout.prompt(), rollout.prompt().length + rollout.response().length);
    System.arraycopy(
        rollout.response(), 0, tokens, rollout.prompt().length, rollout.response().length);
    return tokens;
  }

  private static double[] whitened(double[] x) {
    double mean = Arrays.stream(x).average().orElseThrow();
    double variance =
        Arrays.stream(x).map(each -> (each - mean) * (each - mean)).average().orElseThrow();
    return Arrays.stream(x).map(each -> (each - mean) / Math.sqrt(variance + 1e-8)).toArray();
  }

  /** The piecewise reward, with unsafe answers to ordinary prompts below the safe ones. */
  private static double score(PpoRollout rollout) {
    if (rollout.isSafety()) {
      return rollout.safetyScore();
    }
    double threshold = Math.log(0.15 / 0.85);
    if (rollout.safetyScore() < threshold) {
      return -6 + 2 * Math.exp((rollout.safetyScore() - threshold) / 2);
    }
    double score = rollout.helpfulnessScore();
    return score < -2 ? -4 + 2 * Math.exp((score + 2) / 2) : score;
  }

  /** The whole iteration; the models then have the new weights. */
  void iterate() {
    int count = rollouts.size();
    double[] scores = new double[count];
    for (boolean kind : new boolean[] {false, true}) {
      int[] group =
          IntStream.range(0, count).filter(i -> rollouts.get(i).isSafety() == kind).toArray();
      double[] some =
          whitened(Arrays.stream(group).mapToDouble(i -> score(rollouts.get(i))).toArray());
      for (int k = 0; k < group.length; k++) {
        scores[group[k]] = some[k];
      }
    }
    double[][] oldValues = new double[count][];
    double[][] returns = new double[count][];
    double[] flat = {};
    for (int i = 0; i < count; i++) {
      PpoRollout one = rollouts.get(i);
      oldValues[i] = values(one);
      int length = one.response().length;
      double[] rewards = new double[length];
      for (int t = 0; t < length; t++) {
        rewards[t] = -BETA * ((double) one.logProbs()[t] - one.referenceLogProbs()[t]);
      }
      rewards[length - 1] += scores[i] - (one.truncated() ? 1 : 0);
      double[] advantages = new double[length];
      returns[i] = new double[length];
      for (int t = 0; t < length; t++) {
        // The sum of the discounted temporal differences, from its definition.
        for (int s = t; s < length; s++) {
          double next = s + 1 < length ? oldValues[i][s + 1] : 0;
          advantages[t] += Math.pow(LAMBDA, s - t) * (rewards[s] + next - oldValues[i][s]);
        }
        returns[i][t] = advantages[t] + oldValues[i][t];
      }
      int at = flat.length;
      flat = Arrays.copyOf(flat, at + length);
      System.arraycopy(advantages, 0, flat, at, length);
    }
    double[] advantages = whitened(flat);
    for (int epoch = 0; epoch < epochs; epoch++) {
      policy.update(() -> policyLoss(advantages), learningRate);
      critic.update(() -> valueLoss(oldValues, returns, advantages.length), learningRate);
    }
  }

  private double policyLoss(double[] advantages) {
    double loss = 0;
    int at = 0;
    for (PpoRollout one : rollouts) {
      double[] now = logProbs(one);
      for (int t = 0; t < now.length; t++) {
        double ratio = Math.exp(now[t] - one.logProbs()[t]);
        double a = advantages[at++];
        loss -= Math.min(a * ratio, a * Math.clamp(ratio, 1 - CLIP, 1 + CLIP));
      }
    }
    return loss / at;
  }

  private double valueLoss(double[][] oldValues, double[][] returns, int tokens) {
    double loss = 0;
    for (int i = 0; i < returns.length; i++) {
      double[] now = values(rollouts.get(i));
      for (int t = 0; t < now.length; t++) {
        double target = returns[i][t];
        double old = oldValues[i][t];
        double free = now[t] - target;
        double bounded = Math.clamp(now[t], old - CLIP, old + CLIP) - target;
        loss += Math.max(free * free, bounded * bounded) / 2;
      }
    }
    return loss / tokens;
  }
}

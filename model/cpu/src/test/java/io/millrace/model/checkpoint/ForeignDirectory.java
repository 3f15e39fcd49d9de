package io.millrace.model.checkpoint;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * A Llama directory of other origin, written without any of the code under test. It has random
 * weights in float32, float16 or bfloat16, in one file or several. {@link #logProbs} computes a
 * Llama in float64 loops.
 *
 * @param path the directory
 * @param config the model's shape
 * @param values what the files hold by name, as float64
 */
record ForeignDirectory(Path path, LlamaConfig config, Map<String, double[]> values) {
  private static final ObjectMapper JSON = new ObjectMapper();

  static ForeignDirectory write(
      Path path, LlamaConfig config, String configJson, String dtype, int shards, long seed)
      throws IOException {
    Files.createDirectories(path);
    Files.writeString(path.resolve("config.json"), configJson);
    Random random = new Random(seed);
    Map<String, double[]> values = new LinkedHashMap<>();
    Map<String, byte[]> bytes = new LinkedHashMap<>();
    Map<String, int[]> shapes = new LinkedHashMap<>();
    for (ParameterSpec spec : config.parameters()) {
      double[] kept = new double[Math.toIntExact(spec.elementCount())];
      ByteBuffer buffer = ByteBuffer.allocate(kept.length * 4).order(ByteOrder.LITTLE_ENDIAN);
      for (int i = 0; i < kept.length; i++) {
        float value = (float) (0.2 * random.nextGaussian() + (spec.decay() ? 0 : 1));
        kept[i] = put(buffer, value, dtype);
      }
      values.put(spec.name(), kept);
      shapes.put(spec.name(), spec.shape());
      byte[] raw = new byte[buffer.position()];
      buffer.flip().get(raw);
      bytes.put(spec.name(), raw);
    }
    List<String> names = new ArrayList<>(values.keySet());
    Collections.shuffle(names, random);
    ObjectNode index = JSON.createObjectNode();
    for (int shard = 0; shard < shards; shard++) {
      String file =
          shards == 1 ? "model.safetensors" : "part-%d-of-%d.safetensors".formatted(shard, shards);
      List<String> own = new ArrayList<>();
      for (int i = shard; i < names.size(); i += shards) {
        own.add(names.get(i));
        index.withObject("/weight_map").put(names.get(i), file);
      }
      Files.write(path.resolve(file), safetensors(own, bytes, shapes, dtype));
    }
    if (shards > 1) {
      Files.writeString(path.resolve("model.safetensors.index.json"), index.toString());
    }
    return new ForeignDirectory(path, config, values);
  }

  /** Writes a value as the given type; returns the value after rounding. */
  private static double put(ByteBuffer buffer, float value, String dtype) {
    return switch (dtype) {
      case "F32" -> {
        buffer.putFloat(value);
        yield value;
      }
      case "F16" -> {
        short half = Float.floatToFloat16(value);
        buffer.putShort(half);
        yield Float.float16ToFloat(half);
      }
      case "BF16" -> {
        int upper = Float.floatToIntBits(value) >>> 16;
        buffer.putShort((short) upper);
        yield Float.intBitsToFloat(upper << 16);
      }
      default -> throw new IllegalArgumentException(dtype);
    };
  }

  private static byte[] safetensors(
      List<String> names, Map<String, byte[]> bytes, Map<String, int[]> shapes, String dtype) {
    ObjectNode header = JSON.createObjectNode();
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    for (String name : names) {
      ObjectNode tensor = header.putObject(name).put("dtype", dtype);
      for (int size : shapes.get(name)) {
        tensor.withArray("shape").add(size);
      }
      tensor.putArray("data_offsets").add(data.size()).add(data.size() + bytes.get(name).length);
      data.writeBytes(bytes.get(name));
    }
    byte[] json = header.toString().getBytes(StandardCharsets.UTF_8);
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    file.writeBytes(
        ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(json.length).array());
    file.writeBytes(json);
    file.writeBytes(data.toByteArray());
    return file.toByteArray();
  }

  /**
   * log p of each token after the first, given the tokens before it, in nats, {@code [n − 1]}.
   *
   * @param frequencies rotary frequencies θ_j in radians per position, {@code [headDim / 2]}
   */
  double[] logProbs(int[] tokens, double[] frequencies) {
    int n = tokens.length;
    int h = config.hiddenSize();
    int d = config.headDim();
    double[][] x = new double[n][];
    for (int t = 0; t < n; t++) {
      x[t] = row(values.get("model.embed_tokens.weight"), tokens[t], h);
    }
    for (int layer = 0; layer < config.layers(); layer++) {
      String prefix = "model.layers." + layer + ".";
      double[][] normed = norm(x, prefix + "input_layernorm.weight");
      double[][] q = linear(normed, prefix + "self_attn.q_proj.weight");
      double[][] k = linear(normed, prefix + "self_attn.k_proj.weight");
      double[][] v = linear(normed, prefix + "self_attn.v_proj.weight");
      turn(q, frequencies);
      turn(k, frequencies);
      double[][] attended = new double[n][config.heads() * d];
      for (int t = 0; t < n; t++) {
        for (int head = 0; head < config.heads(); head++) {
          attend(attended, q, k, v, t, head);
        }
      }
      add(x, linear(attended, prefix + "self_attn.o_proj.weight"));
      normed = norm(x, prefix + "post_attention_layernorm.weight");
      double[][] gate = linear(normed, prefix + "mlp.gate_proj.weight");
      double[][] up = linear(normed, prefix + "mlp.up_proj.weight");
      for (int t = 0; t < n; t++) {
        for (int i = 0; i < gate[t].length; i++) {
          gate[t][i] *= up[t][i] / (1 + Math.exp(-gate[t][i]));
        }
      }
      add(x, linear(gate, prefix + "mlp.down_proj.weight"));
    }
    String head = config.tiedHead() ? "model.embed_tokens.weight" : "lm_head.weight";
    double[][] logits = linear(norm(x, "model.norm.weight"), head);
    double[] logProbs = new double[n - 1];
    for (int t = 0; t < n - 1; t++) {
      double sum = 0;
      for (double logit : logits[t]) {
        sum += Math.exp(logit);
      }
      logProbs[t] = logits[t][tokens[t + 1]] - Math.log(sum);
    }
    return logProbs;
  }

  private void attend(double[][] out, double[][] q, double[][] k, double[][] v, int t, int head) {
    int d = config.headDim();
    int kv = head * config.kvHeads() / config.heads() * d;
    double[] p = new double[t + 1];
    double sum = 0;
    for (int u = 0; u <= t; u++) {
      double score = 0;
      for (int j = 0; j < d; j++) {
        score += q[t][head * d + j] * k[u][kv + j];
      }
      p[u] = Math.exp(score / Math.sqrt(d));
      sum += p[u];
    }
    for (int u = 0; u <= t; u++) {
      for (int j = 0; j < d; j++) {
        out[t][head * d + j] += p[u] / sum * v[u][kv + j];
      }
    }
  }

  private void turn(double[][] x, double[] frequencies) {
    int half = config.headDim() / 2;
    for (int t = 0; t < x.length; t++) {
      for (int i = 0; i < x[t].length; i++) {
        int j = i % config.headDim();
        if (j < half) {
          double a = x[t][i];
          double b = x[t][i + half];
          double angle = t * frequencies[j];
          x[t][i] = a * Math.cos(angle) - b * Math.sin(angle);
          x[t][i + half] = b * Math.cos(angle) + a * Math.sin(angle);
        }
      }
    }
  }

  private double[][] norm(double[][] x, String weight) {
    double[] w = values.get(weight);
    double[][] y = new double[x.length][w.length];
    for (int t = 0; t < x.length; t++) {
      double sum = 0;
      for (double value : x[t]) {
        sum += value * value;
      }
      for (int i = 0; i < w.length; i++) {
        y[t][i] = x[t][i] / Math.sqrt(sum / w.length + config.rmsNormEps()) * w[i];
      }
    }
    return y;
  }

  private double[][] linear(double[][] x, String weight) {
    double[] w = values.get(weight);
    int in = x[0].length;
    double[][] y = new double[x.length][w.length / in];
    for (int t = 0; t < x.length; t++) {
      for (int o = 0; o < y[t].length; o++) {
        for (int i = 0; i < in; i++) {
          y[t][o] += x[t][i] * w[o * in + i];
        }
      }
    }
    return y;
  }

  private static void add(double[][] x, double[][] y) {
    for (int t = 0; t < x.length; t++) {
      for (int i = 0; i < x[t].length; i++) {
        x[t][i] += y[t][i];
      }
    }
  }

  private static double[] row(double[] matrix, int row, int columns) {
    double[] copy = new double[columns];
    System.arraycopy(matrix, row * columns, copy, 0, columns);
    return copy;
  }
}

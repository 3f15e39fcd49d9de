package io.millrace.cli.bench;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The result of a benchmark as one line of JSON.
 *
 * @param kernels instruction set of the backend's matrix products
 * @param shape sizes of the model
 * @param lengths batch size and token counts
 * @param medianSeconds median time of one repetition
 * @param tokensPerSecond throughput; the case defines which tokens count
 * @param gflopPerSecond throughput as {@link Flops} counts
 * @param peakShare {@code gflopPerSecond} divided by the peak of matrix products in this run
 * @param tensorMemoryMib most memory of all tensors at once: weights, gradients, moments,
 *     activations, scratch memory
 * @param peakMemoryMib highest resident memory of the process; 0 if the system does not report it
 * @param more what only this case has, by key
 */
@JsonPropertyOrder({"case", "backend", "kernels", "threads", "shape", "lengths", "iterations"})
record BenchLine(
    @JsonProperty("case") String name,
    @JsonProperty("backend") String backend,
    @JsonProperty("kernels") String kernels,
    @JsonProperty("threads") int threads,
    @JsonProperty("shape") Map<String, Integer> shape,
    @JsonProperty("lengths") Map<String, Integer> lengths,
    @JsonProperty("iterations") int iterations,
    @JsonProperty("median_seconds") double medianSeconds,
    @JsonProperty("tokens_per_second") double tokensPerSecond,
    @JsonProperty("gflop_per_second") double gflopPerSecond,
    @JsonProperty("peak_gflop_per_second") double peakGflopPerSecond,
    @JsonProperty("peak_share") double peakShare,
    @JsonProperty("tensor_memory_mib") long tensorMemoryMib,
    @JsonProperty("peak_memory_mib") long peakMemoryMib,
    @JsonIgnore Map<String, Double> more) {

  private static final ObjectMapper JSON = new ObjectMapper();

  /** Begins the line of a case. */
  static Builder of(String name, Backend backend, LlamaConfig config) {
    return new Builder(name, backend, config);
  }

  /** The measurements of a case, one by one. */
  static final class Builder {
    private final String name;
    private final Backend backend;
    private final LlamaConfig config;
    private Map<String, Integer> lengths = Map.of();
    private double[] seconds = {};
    private double tokens;
    private double flops;
    private double peak;
    private final Map<String, Double> more = new LinkedHashMap<>();

    private Builder(String name, Backend backend, LlamaConfig config) {
      this.name = name;
      this.backend = backend;
      this.config = config;
    }

    /** Batch and token counts of the case. */
    Builder lengths(Map<String, Integer> counts) {
      this.lengths = counts;
      return this;
    }

    /** Seconds of each repetition. */
    Builder seconds(double[] times) {
      this.seconds = times.clone();
      return this;
    }

    /** Tokens of one repetition. */
    Builder tokens(double count) {
      this.tokens = count;
      return this;
    }

    /** Floating-point operations of one repetition. */
    Builder flops(double count) {
      this.flops = count;
      return this;
    }

    /** The highest rate of matrix products in this run, in floating-point operations per second. */
    Builder peak(double flopsPerSecond) {
      this.peak = flopsPerSecond;
      return this;
    }

    /** A number that only this case has. */
    Builder more(String key, double value) {
      more.put(key, rounded(value));
      return this;
    }

    BenchLine build() {
      if (seconds.length == 0 || !(tokens > 0 && flops > 0 && peak > 0)) {
        throw new IllegalStateException(
            "%s has %d repetitions, %s tokens, %s flops and a peak of %s flop/s; all must be set"
                .formatted(name, seconds.length, tokens, flops, peak));
      }
      double[] sorted = seconds.clone();
      Arrays.sort(sorted);
      double median = sorted[sorted.length / 2];
      return new BenchLine(
          name,
          backend.name(),
          backend.kernels(),
          backend.threads(),
          shapeOf(config),
          lengths,
          seconds.length,
          rounded(median),
          rounded(tokens / median),
          rounded(flops / median / 1e9),
          rounded(peak / 1e9),
          rounded(flops / median / peak),
          backend.peakBytes() >> 20,
          residentAtMostMib(),
          more);
    }
  }

  private static Map<String, Integer> shapeOf(LlamaConfig config) {
    Map<String, Integer> shape = new LinkedHashMap<>();
    shape.put("hidden", config.hiddenSize());
    shape.put("layers", config.layers());
    shape.put("heads", config.heads());
    shape.put("kv_heads", config.kvHeads());
    shape.put("ffn", config.ffnSize());
    shape.put("vocab", config.vocabSize());
    return shape;
  }

  /** Rounds to four digits; the others are noise. */
  static double rounded(double value) {
    return Double.parseDouble("%.4g".formatted(value));
  }

  private static long residentAtMostMib() {
    try {
      for (String line : PlainFiles.readText(Path.of("/proc/self/status"), 1 << 20).split("\n")) {
        if (line.startsWith("VmHWM:")) {
          return Long.parseLong(line.replaceAll("\\D", "")) / 1024;
        }
      }
    } catch (IOException e) {
      // Not Linux.
    }
    return 0;
  }

  /** The line to print. */
  String toJson() {
    try {
      ObjectNode line = JSON.valueToTree(this);
      more.forEach(line::put);
      return JSON.writeValueAsString(line);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a record of numbers is JSON", e);
    }
  }
}

package io.millrace.model.checkpoint;

import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.tensor.RopeScaling;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/** Describes a checkpoint for people: one line for each label and value. */
final class CheckpointSummary {
  private final List<String> lines = new ArrayList<>();

  private CheckpointSummary() {}

  static List<String> lines(CheckpointDirectory checkpoint) {
    CheckpointSummary summary = new CheckpointSummary();
    summary.line("directory", checkpoint.path());
    summary.line("kind", checkpoint.kind() + " (" + checkpoint.kind().architecture() + ")");
    checkpoint
        .adapter()
        .ifPresent(
            adapter ->
                summary.line(
                    "adapter",
                    "rank %d, alpha %s, of %s, on %s"
                        .formatted(
                            adapter.config().rank(),
                            adapter.config().alpha(),
                            String.join(", ", adapter.config().targets()),
                            CheckpointException.shorten(adapter.base()))));
    checkpoint.manifest().ifPresentOrElse(summary::addManifest, summary::addNoManifest);
    summary.addConfig(checkpoint.config());
    if (checkpoint.config().scoreHeads() > 1) {
      summary.line("scalar heads", checkpoint.config().scoreHeads());
    }
    summary.addTensors(checkpoint);
    return List.copyOf(summary.lines);
  }

  private void addNoManifest() {
    line("manifest", "none: not published by Millrace, no digests");
  }

  private void addManifest(CheckpointManifest manifest) {
    line("name", manifest.name());
    line(
        "version",
        manifest.version() + (manifest.parent() == null ? "" : ", from " + manifest.parent()));
    line("iteration", manifest.iteration() + ", step " + manifest.step());
    manifest.records().forEach((what, count) -> line("consumed", count + " " + what));
    manifest.metrics().forEach((what, value) -> line("metric", what + " = " + value));
    manifest
        .files()
        .forEach(
            (file, entry) ->
                line("file", file + ", " + entry.size() + " bytes, SHA-256 " + entry.sha256()));
  }

  private void addConfig(LlamaConfig config) {
    line("vocabulary", config.vocabSize() + " tokens");
    line("layers", config.layers() + " of width " + config.hiddenSize());
    line(
        "attention",
        config.heads()
            + " heads of "
            + config.headDim()
            + ", "
            + config.kvHeads()
            + " for keys and values");
    line("feed-forward", config.ffnSize());
    line(
        "positions",
        config.maxPositions()
            + ", rope theta "
            + config.ropeTheta()
            + ", scaling "
            + scaling(config.ropeScaling()));
    line("norm epsilon", config.rmsNormEps());
    line("head", config.tiedHead() ? "tied to the embedding" : "untied");
    line("bos, eos", config.bosToken() + ", " + config.eosTokens());
  }

  private static String scaling(RopeScaling scaling) {
    return switch (scaling) {
      case RopeScaling.None() -> "none";
      case RopeScaling.Linear(double factor) -> "linear, factor " + factor;
      case RopeScaling.Llama3(double factor, double low, double high, int original) ->
          "llama3, factor %s, turns %s to %s of %d positions"
              .formatted(factor, low, high, original);
    };
  }

  private void addTensors(CheckpointDirectory checkpoint) {
    CheckpointTensors tensors = checkpoint.tensors();
    Map<DType, Long> countByType = new EnumMap<>(DType.class);
    long values = 0;
    for (String name : tensors.names()) {
      TensorInfo info = tensors.info(name);
      countByType.merge(info.dtype(), 1L, Long::sum);
      values += info.elementCount();
    }
    line("parameters", String.format(Locale.ROOT, "%,d", values));
    line(
        "tensors",
        tensors.names().size()
            + ": "
            + countByType.entrySet().stream()
                .map(entry -> entry.getValue() + " of " + entry.getKey())
                .collect(Collectors.joining(", ")));
    line(
        "weights",
        tensors.files().stream()
            .map(Path::getFileName)
            .map(Path::toString)
            .collect(Collectors.joining(", ")));
    for (String name : tensors.names()) {
      line("tensor", CheckpointException.shorten(name) + " " + tensors.info(name));
    }
    ParameterCheck.problems(checkpoint.outline(), tensors)
        .forEach(problem -> line("PROBLEM", problem));
  }

  private void line(String label, Object value) {
    lines.add(String.format(Locale.ROOT, "%-14s %s", label, value));
  }
}

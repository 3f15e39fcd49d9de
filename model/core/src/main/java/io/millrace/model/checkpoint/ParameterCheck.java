package io.millrace.model.checkpoint;

import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Compares the parameters of a config with the tensors of a directory. */
final class ParameterCheck {
  /** Maximum names in a list of problems: a checkpoint of another model differs in all of them. */
  private static final int MAX_LISTED = 8;

  private static final int CHUNK = 1 << 16;

  /** Old converters stored the rotary frequencies, which the config determines. */
  private static final String DERIVED_SUFFIX = ".rotary_emb.inv_freq";

  private ParameterCheck() {}

  /** All problems of the tensors of a directory, one sentence each; empty if there are none. */
  static List<String> problems(CheckpointOutline outline, CheckpointTensors tensors) {
    LlamaConfig config = outline.config();
    Set<String> present = new LinkedHashSet<>(tensors.names());
    present.removeIf(name -> name.endsWith(DERIVED_SUFFIX));
    boolean repeatsTiedHead =
        outline.kind() == CheckpointKind.POLICY
            && config.tiedHead()
            && present.remove(LlamaConfig.HEAD);
    List<ParameterSpec> specs = outline.parameters();
    List<String> problems = nameProblems(specs, present);
    for (ParameterSpec spec : specs) {
      if (present.contains(spec.name())) {
        TensorInfo info = tensors.info(spec.name());
        if (!info.hasShape(spec.shape())) {
          problems.add(shapeProblem(spec, Arrays.toString(info.shape())));
        }
        if (!info.dtype().isReadable()) {
          problems.add(
              "parameter '"
                  + spec.name()
                  + "' is of type "
                  + info.dtype()
                  + " but must be F32, F16 or BF16");
        }
      }
    }
    if (repeatsTiedHead
        && present.contains(LlamaConfig.EMBEDDING)
        && !isSame(tensors, LlamaConfig.HEAD, LlamaConfig.EMBEDDING)) {
      problems.add(
          "'"
              + LlamaConfig.HEAD
              + "' differs from '"
              + LlamaConfig.EMBEDDING
              + "' although tie_word_embeddings is true: set it to false, or remove the head");
    }
    return problems;
  }

  /** As {@link #problems(CheckpointOutline, CheckpointTensors)}, for tensors to be written. */
  static List<String> problems(
      List<ParameterSpec> specs, Map<String, ? extends TensorSource> tensors) {
    List<String> problems = nameProblems(specs, tensors.keySet());
    for (ParameterSpec spec : specs) {
      TensorSource source = tensors.get(spec.name());
      if (source != null && !Arrays.equals(spec.shape(), source.shape())) {
        problems.add(shapeProblem(spec, Arrays.toString(source.shape())));
      }
    }
    return problems;
  }

  private static String shapeProblem(ParameterSpec spec, String actual) {
    return "parameter '"
        + spec.name()
        + "' has shape "
        + actual
        + " but the config needs "
        + Arrays.toString(spec.shape());
  }

  private static List<String> nameProblems(List<ParameterSpec> specs, Set<String> present) {
    Set<String> missing = new LinkedHashSet<>();
    specs.forEach(spec -> missing.add(spec.name()));
    Set<String> extra = new LinkedHashSet<>(present);
    extra.removeAll(missing);
    missing.removeAll(present);
    List<String> problems = new ArrayList<>();
    list(problems, "missing parameter", missing, extra);
    list(problems, "unknown tensor", extra, missing);
    return problems;
  }

  private static void list(
      List<String> problems, String what, Set<String> names, Collection<String> candidates) {
    names.stream()
        .limit(MAX_LISTED)
        .forEach(
            name ->
                problems.add(
                    what
                        + " '"
                        + CheckpointException.shorten(name)
                        + "'"
                        + CheckpointException.nearest(name, candidates)));
    if (names.size() > MAX_LISTED) {
      problems.add(what + ": and " + (names.size() - MAX_LISTED) + " more");
    }
  }

  private static boolean isSame(CheckpointTensors tensors, String a, String b) {
    TensorInfo first = tensors.info(a);
    TensorInfo second = tensors.info(b);
    if (!Arrays.equals(first.shape(), second.shape())
        || !first.dtype().isReadable()
        || !second.dtype().isReadable()) {
      return false;
    }
    return first.dtype() == second.dtype()
        ? tensors.holding(a).bytes(a).mismatch(tensors.holding(b).bytes(b)) == -1
        : haveSameValues(tensors, a, b);
  }

  /** Compares values of different types: a converter may have stored one of the two as float32. */
  private static boolean haveSameValues(CheckpointTensors tensors, String a, String b) {
    long count = tensors.info(a).elementCount();
    float[] one = new float[CHUNK];
    float[] other = new float[CHUNK];
    for (long at = 0; at < count; at += CHUNK) {
      int length = (int) Math.min(CHUNK, count - at);
      tensors.read(a, at, one, 0, length);
      tensors.read(b, at, other, 0, length);
      if (!Arrays.equals(one, 0, length, other, 0, length)) {
        return false;
      }
    }
    return true;
  }
}

package io.millrace.model.checkpoint;

import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Stream;

/** Collects all problems of a checkpoint instead of stopping at the first. */
final class CheckpointVerifier {
  private static final int CHUNK = 1 << 16;

  private final Path dir;
  private final List<String> problems = new ArrayList<>();
  private int files;
  private long parameters;

  private CheckpointVerifier(Path dir) {
    this.dir = dir;
  }

  static VerifyReport verify(Path dir) {
    CheckpointVerifier verifier = new CheckpointVerifier(dir);
    boolean hasManifest = Files.exists(dir.resolve(CheckpointManifest.FILE_NAME));
    if (hasManifest) {
      verifier.collecting(verifier::verifyFiles);
    }
    verifier.collecting(verifier::verifyWeights);
    return new VerifyReport(
        dir, hasManifest, verifier.files, verifier.parameters, verifier.problems);
  }

  private void collecting(Runnable step) {
    try {
      step.run();
    } catch (CheckpointException e) {
      // Several steps read the manifest and the shape, and each reports what is wrong there.
      if (!problems.contains(e.getMessage())) {
        problems.add(e.getMessage());
      }
    }
  }

  private void verifyFiles() {
    Map<String, CheckpointManifest.FileEntry> listed =
        CheckpointManifest.read(dir.resolve(CheckpointManifest.FILE_NAME)).files();
    listed.forEach((name, entry) -> collecting(() -> verifyFile(name, entry)));
    TreeSet<String> present = new TreeSet<>(fileNames(dir));
    present.removeAll(listed.keySet());
    present.remove(CheckpointManifest.FILE_NAME);
    present.forEach(name -> problems.add(name + " is not listed in the manifest"));
  }

  private void verifyFile(String name, CheckpointManifest.FileEntry entry) {
    Path file = dir.resolve(name);
    if (!Files.isRegularFile(file)) {
      problems.add(name + " is listed in the manifest but missing");
      return;
    }
    files++;
    long size = size(file);
    if (size != entry.size()) {
      problems.add(name + " has " + size + " bytes but the manifest says " + entry.size());
      return;
    }
    String digest = FileTools.sha256(file);
    if (!digest.equals(entry.sha256())) {
      problems.add(
          name
              + " has SHA-256 "
              + digest
              + " but the manifest says "
              + entry.sha256()
              + ": it was changed or damaged");
    }
  }

  private void verifyWeights() {
    try (CheckpointDirectory checkpoint = CheckpointDirectory.openUnchecked(dir)) {
      problems.addAll(ParameterCheck.problems(checkpoint.outline(), checkpoint.tensors()));
      float[] chunk = new float[CHUNK];
      for (ParameterSpec spec : checkpoint.outline().parameters()) {
        if (checkpoint.tensors().names().contains(spec.name())) {
          collecting(() -> verifyFinite(checkpoint.tensors(), spec.name(), chunk));
        }
      }
    }
  }

  private void verifyFinite(CheckpointTensors tensors, String name, float[] chunk) {
    long count = tensors.info(name).elementCount();
    for (long first = 0; first < count; first += CHUNK) {
      int length = (int) Math.min(CHUNK, count - first);
      tensors.read(name, first, chunk, 0, length);
      for (int i = 0; i < length; i++) {
        if (!Float.isFinite(chunk[i])) {
          problems.add("parameter '" + name + "' holds " + chunk[i] + " at element " + (first + i));
          return;
        }
      }
    }
    parameters += count;
  }

  private static long size(Path file) {
    try {
      return Files.size(file);
    } catch (IOException e) {
      throw CheckpointException.of(file, "cannot be read: " + PlainFiles.reason(e), e);
    }
  }

  /** Names of all entries of a directory, sorted. */
  static List<String> fileNames(Path dir) {
    try (Stream<Path> entries = Files.list(dir)) {
      return entries.map(entry -> entry.getFileName().toString()).sorted().toList();
    } catch (IOException e) {
      throw CheckpointException.of(dir, "cannot be listed: " + e, e);
    }
  }
}

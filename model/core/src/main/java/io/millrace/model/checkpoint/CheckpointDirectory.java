package io.millrace.model.checkpoint;

import io.millrace.model.checkpoint.CheckpointManifest.FileEntry;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * A model checkpoint on disk, in the form that transformers, vLLM and others read: {@code
 * config.json}, safetensors weights, tokenizer files, and for our own {@code millrace.json} with
 * the digest of every other file. Directories of other origin need not have the last.
 *
 * <p>Parameters have Hugging Face's names and layout, those of {@link CheckpointKind#parameters}.
 */
public final class CheckpointDirectory implements AutoCloseable {
  static final String CONFIG = "config.json";
  static final String GENERATION_CONFIG = "generation_config.json";

  /** Above this many bytes the weights go to several files. */
  public static final long DEFAULT_MAX_FILE_BYTES = 5_000_000_000L;

  private final Path path;
  private final CheckpointOutline outline;
  private final CheckpointTensors tensors;

  private CheckpointDirectory(Path path, CheckpointOutline outline, CheckpointTensors tensors) {
    this.path = path;
    this.outline = outline;
    this.tensors = tensors;
  }

  /** Writes {@code tokenizer.json} and its like into a directory. */
  @FunctionalInterface
  public interface TokenizerFiles {
    /** Writes plain files into {@code dir}, which exists. */
    void writeTo(Path dir) throws IOException;
  }

  /**
   * Writes a checkpoint whose weights go to several files above {@link #DEFAULT_MAX_FILE_BYTES}.
   *
   * @see #write(Path, LlamaConfig, Map, TokenizerFiles, CheckpointManifest, long)
   */
  public static String write(
      Path dir,
      LlamaConfig config,
      Map<String, ? extends TensorSource> tensors,
      TokenizerFiles tokenizer,
      CheckpointManifest description) {
    return write(dir, config, tensors, tokenizer, description, DEFAULT_MAX_FILE_BYTES);
  }

  /**
   * Writes a checkpoint, the manifest last; all of it is on the disk when this returns. The same
   * arguments give the same bytes in every file.
   *
   * @param dir an empty directory, or one that does not exist yet; after a failure it holds a part
   *     and no manifest
   * @param tensors exactly the parameters of the description's kind, in any order; all finite
   * @param description what the manifest says beside the files, which it lists itself
   * @param maxFileBytes weights above this go to several files
   * @return SHA-256 of {@code millrace.json}, for the announcement
   * @throws CheckpointException where a parameter is missing, unknown, of another shape or not
   *     finite, or a file cannot be written
   */
  public static String write(
      Path dir,
      LlamaConfig config,
      Map<String, ? extends TensorSource> tensors,
      TokenizerFiles tokenizer,
      CheckpointManifest description,
      long maxFileBytes) {
    CheckpointKind kind = description.kind();
    failIfAny(dir, ParameterCheck.problems(config, kind, tensors));
    try {
      Files.createDirectories(dir);
      if (!CheckpointVerifier.fileNames(dir).isEmpty()) {
        throw CheckpointException.of(
            dir, "is not empty; a checkpoint is written to a new directory");
      }
      writePlain(dir, kind, config, tensors, tokenizer, DType.F32, maxFileBytes);
      Path manifestFile = dir.resolve(CheckpointManifest.FILE_NAME);
      FileTools.writeText(manifestFile, description.withFiles(digestFiles(dir)).toJson());
      FileTools.force(dir);
      return FileTools.sha256(manifestFile);
    } catch (IOException e) {
      throw CheckpointException.of(dir, "cannot be written: " + e, e);
    }
  }

  /**
   * Writes an open checkpoint of any origin anew, as a plain Hugging Face directory without {@code
   * millrace.json}. All of it is there when this returns, or nothing is.
   *
   * @param out a directory that is empty or does not exist yet
   * @param dtype F32, or BF16, to which values are rounded to the nearest, ties to even
   * @throws CheckpointException where a weight is not finite or a file cannot be written
   */
  public void export(Path out, TokenizerFiles tokenizer, DType dtype, long maxFileBytes) {
    Map<String, TensorSource> sources = new LinkedHashMap<>();
    for (ParameterSpec spec : kind().parameters(config())) {
      sources.put(spec.name(), tensors.source(spec.name(), spec.shape()));
    }
    try {
      if (Files.exists(out)
          && (!Files.isDirectory(out) || !CheckpointVerifier.fileNames(out).isEmpty())) {
        throw CheckpointException.of(
            out, "exists and is not an empty directory; nothing is overwritten");
      }
      Path parent = out.toAbsolutePath().normalize().getParent();
      Files.createDirectories(parent);
      Path staging = Files.createTempDirectory(parent, ".export");
      try {
        writePlain(staging, kind(), config(), sources, tokenizer, dtype, maxFileBytes);
        for (String name : CheckpointVerifier.fileNames(staging)) {
          FileTools.force(staging.resolve(name));
        }
        Files.setPosixFilePermissions(staging, PosixFilePermissions.fromString("rwxr-xr-x"));
        Files.move(staging, out, StandardCopyOption.ATOMIC_MOVE);
      } finally {
        FileTools.deleteDirectory(staging);
      }
    } catch (IOException e) {
      throw CheckpointException.of(out, "cannot be written: " + e, e);
    }
  }

  /** All files but the manifest. */
  private static void writePlain(
      Path dir,
      CheckpointKind kind,
      LlamaConfig config,
      Map<String, ? extends TensorSource> tensors,
      TokenizerFiles tokenizer,
      DType dtype,
      long maxFileBytes)
      throws IOException {
    FileTools.writeText(dir.resolve(CONFIG), kind.configJson(config, dtype));
    Map<String, TensorSource> ordered = new LinkedHashMap<>();
    for (ParameterSpec spec : kind.parameters(config)) {
      ordered.put(spec.name(), finite(dir, spec.name(), tensors.get(spec.name())));
    }
    CheckpointTensors.write(dir, ordered, dtype, maxFileBytes);
    if (kind == CheckpointKind.POLICY) {
      FileTools.writeText(dir.resolve(GENERATION_CONFIG), config.toGenerationJson());
    }
    tokenizer.writeTo(dir);
  }

  private static Map<String, FileEntry> digestFiles(Path dir) throws IOException {
    Map<String, FileEntry> files = new TreeMap<>();
    for (String name : CheckpointVerifier.fileNames(dir)) {
      Path file = dir.resolve(name);
      if (!Files.isRegularFile(file)) {
        throw CheckpointException.of(file, "is not a plain file; a checkpoint holds nothing else");
      }
      FileTools.force(file); // the tokenizer's files were written by others
      files.put(name, new FileEntry(FileTools.sha256(file), Files.size(file)));
    }
    return files;
  }

  /** A source that refuses to publish a model that diverged. */
  private static TensorSource finite(Path dir, String name, TensorSource source) {
    return new TensorSource() {
      @Override
      public int[] shape() {
        return source.shape();
      }

      @Override
      public void read(long first, float[] chunk, int count) {
        source.read(first, chunk, count);
        for (int i = 0; i < count; i++) {
          if (!Float.isFinite(chunk[i])) {
            throw CheckpointException.ofTensor(
                dir, name, "element " + (first + i) + " is " + chunk[i] + ": not published");
          }
        }
      }
    };
  }

  /**
   * Opens a checkpoint, ours or another's, and checks that every parameter that its config asks for
   * is there in the right shape. Digests are not compared: {@link #verify} does.
   *
   * @throws CheckpointException where something is missing, malformed or not supported
   */
  public static CheckpointDirectory open(Path dir) {
    CheckpointDirectory opened = openUnchecked(dir);
    try {
      failIfAny(dir, ParameterCheck.problems(opened.config(), opened.kind(), opened.tensors));
      return opened;
    } catch (RuntimeException e) {
      opened.close();
      throw e;
    }
  }

  /** As {@link #open}, without comparing config and tensors. */
  static CheckpointDirectory openUnchecked(Path dir) {
    return new CheckpointDirectory(dir, CheckpointOutline.read(dir), CheckpointTensors.open(dir));
  }

  private static void failIfAny(Path dir, List<String> problems) {
    if (!problems.isEmpty()) {
      throw CheckpointException.of(dir, String.join("; ", problems));
    }
  }

  /**
   * Reads everything and collects what is wrong: files missing, unlisted, or of another size or
   * digest than the manifest says; parameters missing, unknown, of another shape or not finite.
   */
  public static VerifyReport verify(Path dir) {
    return CheckpointVerifier.verify(dir);
  }

  /**
   * A summary for people, a line each.
   *
   * @throws CheckpointException where the directory cannot be opened
   */
  public static List<String> inspect(Path dir) {
    try (CheckpointDirectory checkpoint = openUnchecked(dir)) {
      return CheckpointSummary.lines(checkpoint);
    }
  }

  /** SHA-256 of a checkpoint's {@code millrace.json}, to compare with an announcement. */
  public static String manifestDigest(Path dir) {
    return FileTools.sha256(dir.resolve(CheckpointManifest.FILE_NAME));
  }

  /** The directory. */
  public Path path() {
    return path;
  }

  /** Policy or reward model, as {@code config.json} says. */
  public CheckpointKind kind() {
    return outline.kind();
  }

  /** The model's shape. */
  public LlamaConfig config() {
    return outline.config();
  }

  /** The manifest, which directories of other origin do not have. */
  public Optional<CheckpointManifest> manifest() {
    return outline.manifest();
  }

  /** The tensors by name; closed with this. */
  public CheckpointTensors tensors() {
    return tensors;
  }

  /** Ends the mappings; arrays that were read stay. */
  @Override
  public void close() {
    tensors.close();
  }
}

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
 * A model checkpoint on disk. transformers, vLLM and other consumers of Llama models can read it.
 * It holds {@code config.json}, weights as safetensors and the tokenizer files. A checkpoint of
 * Millrace also has {@code millrace.json}, with a digest of every other file; directories of other
 * origin lack it.
 *
 * <p>Parameters have Hugging Face's names and layout, see {@link CheckpointKind#parameters}.
 */
public final class CheckpointDirectory implements AutoCloseable {
  static final String CONFIG = "config.json";
  static final String GENERATION_CONFIG = "generation_config.json";

  /** Weights with more bytes than this are split into several files. */
  public static final long DEFAULT_MAX_FILE_BYTES = 5_000_000_000L;

  private final Path path;
  private final CheckpointOutline outline;
  private final CheckpointTensors tensors;

  private CheckpointDirectory(Path path, CheckpointOutline outline, CheckpointTensors tensors) {
    this.path = path;
    this.outline = outline;
    this.tensors = tensors;
  }

  /** Writes the tokenizer files of a checkpoint. */
  @FunctionalInterface
  public interface TokenizerFiles {
    /** Writes the files into {@code dir}, which exists. */
    void writeTo(Path dir) throws IOException;
  }

  /**
   * Writes a checkpoint, with at most {@link #DEFAULT_MAX_FILE_BYTES} bytes of weights in a file.
   *
   * @see #write(Path, LlamaConfig, Map, TokenizerFiles, CheckpointManifest, long)
   */
  public static String write(
      Path dir,
      LlamaConfig config,
      Map<String, ? extends TensorSource> tensors,
      TokenizerFiles tokenizer,
      CheckpointManifest description) {
    return write(dir, config, tensors, tokenizer, CarriedFiles.none(), description);
  }

  /**
   * Writes a checkpoint, with at most {@link #DEFAULT_MAX_FILE_BYTES} bytes of weights in a file.
   *
   * @param carried what it takes over from the checkpoint that training started from
   * @see #write(Path, LlamaConfig, Map, TokenizerFiles, CheckpointManifest, long)
   */
  public static String write(
      Path dir,
      LlamaConfig config,
      Map<String, ? extends TensorSource> tensors,
      TokenizerFiles tokenizer,
      CarriedFiles carried,
      CheckpointManifest description) {
    return write(dir, config, tensors, tokenizer, carried, description, DEFAULT_MAX_FILE_BYTES);
  }

  /**
   * Writes a checkpoint, the manifest last. All files are forced to disk before this method
   * returns. The same arguments give the same bytes in every file.
   *
   * @param dir an empty or new directory; after a failure it holds some files but no manifest
   * @param config the model's shape
   * @param tensors exactly the parameters of the manifest's kind, in any order, all values finite
   * @param tokenizer writes the tokenizer files
   * @param description the manifest without its list of files
   * @param maxFileBytes weights with more bytes than this are split into several files
   * @return SHA-256 of {@code millrace.json}, for the announcement
   * @throws CheckpointException if a parameter is missing, unknown, of the wrong shape or not
   *     finite, or if a file cannot be written
   */
  public static String write(
      Path dir,
      LlamaConfig config,
      Map<String, ? extends TensorSource> tensors,
      TokenizerFiles tokenizer,
      CheckpointManifest description,
      long maxFileBytes) {
    return write(dir, config, tensors, tokenizer, CarriedFiles.none(), description, maxFileBytes);
  }

  private static String write(
      Path dir,
      LlamaConfig config,
      Map<String, ? extends TensorSource> tensors,
      TokenizerFiles tokenizer,
      CarriedFiles carried,
      CheckpointManifest description,
      long maxFileBytes) {
    CheckpointKind kind = description.kind();
    failIfAny(dir, ParameterCheck.problems(config, kind, tensors));
    try {
      Files.createDirectories(dir);
      if (!CheckpointVerifier.fileNames(dir).isEmpty()) {
        throw CheckpointException.of(dir, "is not empty; write a checkpoint to a new directory");
      }
      writePlain(dir, kind, config, tensors, tokenizer, carried, DType.F32, maxFileBytes);
      Path manifestFile = dir.resolve(CheckpointManifest.FILE_NAME);
      FileTools.writeText(manifestFile, description.withFiles(digestFiles(dir)).toJson());
      FileTools.force(dir);
      return FileTools.sha256(manifestFile);
    } catch (IOException e) {
      throw CheckpointException.of(dir, "cannot be written: " + e, e);
    }
  }

  /**
   * Writes this checkpoint as a plain Hugging Face directory, without {@code millrace.json}. The
   * directory appears complete or not at all.
   *
   * @param out an empty or new directory
   * @param tokenizer writes the tokenizer files
   * @param dtype F32, or BF16 with rounding to nearest, ties to even
   * @param maxFileBytes weights with more bytes than this are split into several files
   * @throws CheckpointException if a weight is not finite or a file cannot be written
   */
  public void export(Path out, TokenizerFiles tokenizer, DType dtype, long maxFileBytes) {
    Map<String, TensorSource> sources = new LinkedHashMap<>();
    for (ParameterSpec spec : kind().parameters(config())) {
      sources.put(spec.name(), tensors.source(spec.name(), spec.shape()));
    }
    try {
      FileTools.requireNoLinksOut(path, _ -> true);
      if (Files.exists(out)
          && (!Files.isDirectory(out) || !CheckpointVerifier.fileNames(out).isEmpty())) {
        throw CheckpointException.of(
            out, "exists and is not an empty directory; export to a new directory");
      }
      Path parent = out.toAbsolutePath().normalize().getParent();
      Files.createDirectories(parent);
      Path staging = Files.createTempDirectory(parent, ".export");
      try {
        CarriedFiles carried = CarriedFiles.read(path);
        writePlain(staging, kind(), config(), sources, tokenizer, carried, dtype, maxFileBytes);
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

  /** Writes all files but the manifest. */
  private static void writePlain(
      Path dir,
      CheckpointKind kind,
      LlamaConfig config,
      Map<String, ? extends TensorSource> tensors,
      TokenizerFiles tokenizer,
      CarriedFiles carried,
      DType dtype,
      long maxFileBytes)
      throws IOException {
    FileTools.writeText(dir.resolve(CONFIG), carried.config(kind.configJson(config, dtype)));
    Map<String, TensorSource> ordered = new LinkedHashMap<>();
    for (ParameterSpec spec : kind.parameters(config)) {
      ordered.put(spec.name(), finite(dir, spec.name(), tensors.get(spec.name())));
    }
    CheckpointTensors.write(dir, ordered, dtype, maxFileBytes);
    if (kind == CheckpointKind.POLICY) {
      FileTools.writeText(
          dir.resolve(GENERATION_CONFIG), carried.generation(config.toGenerationJson()));
    }
    carried.writeTexts(dir);
    tokenizer.writeTo(dir);
  }

  private static Map<String, FileEntry> digestFiles(Path dir) throws IOException {
    Map<String, FileEntry> files = new TreeMap<>();
    for (String name : CheckpointVerifier.fileNames(dir)) {
      Path file = dir.resolve(name);
      if (!Files.isRegularFile(file)) {
        throw CheckpointException.of(
            file, "is not a plain file; a checkpoint can hold only plain files");
      }
      FileTools.force(file); // the caller wrote the tokenizer files
      files.put(name, new FileEntry(FileTools.sha256(file), Files.size(file)));
    }
    return files;
  }

  /** A source that refuses values that are not finite: a model that diverged is not published. */
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
                dir,
                name,
                "element " + (first + i) + " is " + chunk[i] + " but must be finite to publish");
          }
        }
      }
    };
  }

  /**
   * Opens a checkpoint of any origin. Checks that every parameter of its config is there in the
   * right shape. Does not compare digests; {@link #verify} does.
   *
   * @throws CheckpointException if something is missing, malformed or not supported
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

  /** As {@link #open}, without comparing the config with the tensors. */
  static CheckpointDirectory openUnchecked(Path dir) {
    return new CheckpointDirectory(dir, CheckpointOutline.read(dir), CheckpointTensors.open(dir));
  }

  private static void failIfAny(Path dir, List<String> problems) {
    if (!problems.isEmpty()) {
      throw CheckpointException.of(dir, String.join("; ", problems));
    }
  }

  /**
   * Reads the whole checkpoint and collects all problems: files that are missing, unlisted, or
   * differ from the manifest in size or digest; parameters that are missing, unknown, of the wrong
   * shape or not finite.
   */
  public static VerifyReport verify(Path dir) {
    return CheckpointVerifier.verify(dir);
  }

  /**
   * A summary for people, one entry per line.
   *
   * @throws CheckpointException if the directory cannot be opened
   */
  public static List<String> inspect(Path dir) {
    try (CheckpointDirectory checkpoint = openUnchecked(dir)) {
      return CheckpointSummary.lines(checkpoint);
    }
  }

  /** SHA-256 of a checkpoint's {@code millrace.json}, to compare with the announcement. */
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

  /** The manifest; directories of other origin have none. */
  public Optional<CheckpointManifest> manifest() {
    return outline.manifest();
  }

  /** The tensors by name. They are closed with this object. */
  public CheckpointTensors tensors() {
    return tensors;
  }

  /** Unmaps the files. Arrays that were read stay valid. */
  @Override
  public void close() {
    tensors.close();
  }
}

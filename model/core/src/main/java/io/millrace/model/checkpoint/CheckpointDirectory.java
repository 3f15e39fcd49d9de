package io.millrace.model.checkpoint;

import io.millrace.model.checkpoint.CheckpointManifest.FileEntry;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import io.millrace.schemas.Sha256;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
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
    failIfAny(dir, ParameterCheck.problems(kind.parameters(config), tensors));
    return writePublished(
        dir,
        description,
        () -> writePlain(dir, kind, config, tensors, tokenizer, carried, DType.F32, maxFileBytes));
  }

  /**
   * Writes a checkpoint of an adapter, in the form of PEFT and with the files of {@link #write} but
   * for the weights: those are the adapter's alone.
   *
   * @param tensors exactly the adapter's parameters, and the scalar head of a reward model
   * @param description the manifest, with the base
   * @return SHA-256 of {@code millrace.json}, for the announcement
   */
  public static String writeAdapter(
      Path dir,
      LlamaConfig config,
      AdapterConfig adapter,
      Map<String, ? extends TensorSource> tensors,
      TokenizerFiles tokenizer,
      CarriedFiles carried,
      CheckpointManifest description) {
    CheckpointKind kind = description.kind();
    CheckpointAdapter written =
        new CheckpointAdapter(adapter, description.base().orElseThrow().uri());
    List<ParameterSpec> specs = written.parameters(kind, config);
    failIfAny(dir, ParameterCheck.problems(specs, tensors));
    return writePublished(
        dir,
        description,
        () -> {
          FileTools.writeText(dir.resolve(CheckpointAdapter.CONFIG), written.toJson(kind));
          CheckpointTensors.writeAdapter(dir, ordered(dir, specs, tensors));
          writeDescription(dir, kind, config, tokenizer, carried, DType.F32);
        });
  }

  /** Writes files. */
  @FunctionalInterface
  private interface FileWriter {
    void write() throws IOException;
  }

  private static String writePublished(Path dir, CheckpointManifest description, FileWriter files) {
    try {
      Files.createDirectories(dir);
      if (!CheckpointVerifier.fileNames(dir).isEmpty()) {
        throw CheckpointException.of(dir, "is not empty; write a checkpoint to a new directory");
      }
      files.write();
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
    if (adapter().isPresent()) {
      throw CheckpointException.of(
          path, "holds an adapter; export it merged with its base, or use the directory as it is");
    }
    Map<String, TensorSource> sources = new LinkedHashMap<>();
    for (ParameterSpec spec : kind().parameters(config())) {
      sources.put(spec.name(), tensors.source(spec.name(), spec.shape()));
    }
    export(out, sources, tokenizer, dtype, maxFileBytes);
  }

  /**
   * As {@link #export}, with the weights of this adapter added to those of its base.
   *
   * @param base an open checkpoint with all weights
   * @throws CheckpointException also if this is no adapter, or not one of that base
   */
  public void exportMerged(
      Path out,
      CheckpointDirectory base,
      TokenizerFiles tokenizer,
      DType dtype,
      long maxFileBytes) {
    requireBase(base, base.weightsDigest());
    export(out, MergedWeights.of(base, this), tokenizer, dtype, maxFileBytes);
  }

  /**
   * Checks that this adapter was trained on a base.
   *
   * @param digest the base's {@link #weightsDigest}
   * @throws CheckpointException if this is no adapter, or not one of that base
   */
  public void requireBase(CheckpointDirectory base, String digest) {
    if (adapter().isEmpty()) {
      throw CheckpointException.of(path, "is no adapter: it has no adapter_config.json");
    }
    if (base.adapter().isPresent()) {
      throw CheckpointException.of(
          base.path(), "is an adapter itself; give the checkpoint with all weights");
    }
    if (!base.config().trunkParameters().equals(config().trunkParameters())) {
      throw CheckpointException.of(
          path, "has another shape than %s, so that is not its base".formatted(base.path()));
    }
    Optional<String> wanted = base().map(CheckpointManifest.Base::sha256);
    if (wanted.isPresent() && !wanted.get().equals(digest)) {
      throw CheckpointException.of(
          path,
          "was trained on other weights than those of %s (digest %s, not %s)"
              .formatted(base.path(), wanted.get(), digest));
    }
  }

  private void export(
      Path out,
      Map<String, TensorSource> sources,
      TokenizerFiles tokenizer,
      DType dtype,
      long maxFileBytes) {
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
    CheckpointTensors.write(
        dir, ordered(dir, kind.parameters(config), tensors), dtype, maxFileBytes);
    writeDescription(dir, kind, config, tokenizer, carried, dtype);
  }

  private static Map<String, TensorSource> ordered(
      Path dir, List<ParameterSpec> specs, Map<String, ? extends TensorSource> tensors) {
    Map<String, TensorSource> ordered = new LinkedHashMap<>();
    for (ParameterSpec spec : specs) {
      ordered.put(spec.name(), finite(dir, spec.name(), tensors.get(spec.name())));
    }
    return ordered;
  }

  /** Writes the files that describe a model, and those of its tokenizer. */
  private static void writeDescription(
      Path dir,
      CheckpointKind kind,
      LlamaConfig config,
      TokenizerFiles tokenizer,
      CarriedFiles carried,
      DType dtype)
      throws IOException {
    FileTools.writeText(dir.resolve(CONFIG), carried.config(kind.configJson(config, dtype)));
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
      failIfAny(dir, ParameterCheck.problems(opened.outline(), opened.tensors));
      return opened;
    } catch (RuntimeException e) {
      opened.close();
      throw e;
    }
  }

  /** As {@link #open}, without comparing the config with the tensors. */
  static CheckpointDirectory openUnchecked(Path dir) {
    CheckpointOutline outline = CheckpointOutline.read(dir);
    return new CheckpointDirectory(
        dir,
        outline,
        outline.adapter().isPresent()
            ? CheckpointTensors.openAdapter(dir)
            : CheckpointTensors.open(dir));
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

  /**
   * SHA-256 of the weights, to recognise the base of an adapter: of the names and digests of the
   * safetensors files. A manifest has their digests; without one the files are read.
   *
   * @throws CheckpointException if a file cannot be read
   */
  public String weightsDigest() {
    StringBuilder digests = new StringBuilder();
    tensors.files().stream()
        .sorted()
        .forEach(
            file -> {
              String name = file.getFileName().toString();
              FileEntry listed =
                  manifest().map(manifest -> manifest.files().get(name)).orElse(null);
              digests
                  .append(name)
                  .append(' ')
                  .append(listed == null ? FileTools.sha256(file) : listed.sha256())
                  .append('\n');
            });
    return Sha256.of(digests.toString().getBytes(StandardCharsets.UTF_8));
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

  /** The adapter, if the directory holds one in place of all weights. */
  public Optional<CheckpointAdapter> adapter() {
    return outline.adapter();
  }

  /** The checkpoint below the adapter, as the manifest names it. */
  public Optional<CheckpointManifest.Base> base() {
    return outline.base();
  }

  CheckpointOutline outline() {
    return outline;
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

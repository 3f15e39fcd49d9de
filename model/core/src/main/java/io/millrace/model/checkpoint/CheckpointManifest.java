package io.millrace.model.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The content of {@code millrace.json}: the origin of a published checkpoint, and a digest of each
 * of its files. The file is written last, so a directory that has it is complete.
 *
 * @param formatVersion version of the file format, {@link #FORMAT_VERSION}
 * @param kind policy or reward model
 * @param name model name of a policy, or objective of a reward model
 * @param version a number that grows with every published checkpoint of this name
 * @param parent version that training started from, smaller than version; null if there is none
 * @param iteration number of iterations so far
 * @param step number of updates so far
 * @param records number of records consumed so far, by kind ("judgments": 1200)
 * @param metrics metrics by name, all finite; a metric without a value is omitted
 * @param base the checkpoint below an adapter; empty if the directory holds all weights
 * @param scores how a reward model's scores are anchored; empty if they are not, and of a policy
 * @param files all other files of the directory by name; empty before they are written
 */
public record CheckpointManifest(
    int formatVersion,
    CheckpointKind kind,
    String name,
    long version,
    Long parent,
    long iteration,
    long step,
    Map<String, Long> records,
    Map<String, Double> metrics,
    Optional<Base> base,
    Optional<ScoreScale> scores,
    Map<String, FileEntry> files) {

  /** The format version that this class writes, and the only one that it reads. */
  public static final int FORMAT_VERSION = 1;

  private static final String HEAD_OFFSETS = "headOffsets";

  /** The name of the file. */
  public static final String FILE_NAME = "millrace.json";

  /**
   * A file of the checkpoint.
   *
   * @param sha256 SHA-256 of the file, 64 lower-case hexadecimal digits
   * @param size in bytes
   */
  public record FileEntry(String sha256, long size) {
    /**
     * Checks both fields.
     *
     * @throws IllegalArgumentException naming the field and its value
     */
    public FileEntry {
      checkDigest(sha256);
      notNegative("size", size);
    }
  }

  /**
   * The checkpoint whose frozen weights an adapter changes.
   *
   * @param uri where it was when the adapter was trained
   * @param sha256 its {@link CheckpointDirectory#weightsDigest}
   */
  public record Base(String uri, String sha256) {
    /** Checks the digest. */
    public Base {
      checkDigest(sha256);
      if (uri.isBlank()) {
        throw new IllegalArgumentException("base.uri is blank");
      }
    }
  }

  /**
   * Checks every field.
   *
   * @throws IllegalArgumentException naming the field and its value
   */
  public CheckpointManifest {
    if (formatVersion != FORMAT_VERSION) {
      throw new IllegalArgumentException(
          "format is " + formatVersion + " but must be " + FORMAT_VERSION);
    }
    Objects.requireNonNull(kind, "kind");
    if (name.isBlank()) {
      throw new IllegalArgumentException("name is blank; give the checkpoint a name");
    }
    notNegative("version", version);
    if (parent != null && (parent < 0 || parent >= version)) {
      throw new IllegalArgumentException(
          "parent is " + parent + " but must be at least 0 and below version (" + version + ")");
    }
    notNegative("iteration", iteration);
    notNegative("step", step);
    records = sorted(records);
    records.forEach((what, count) -> notNegative("records." + what, count));
    metrics = sorted(metrics);
    metrics.forEach(CheckpointManifest::checkMetric);
    if (scores.isPresent() && kind != CheckpointKind.REWARD_MODEL) {
      throw new IllegalArgumentException(
          "scores must be absent, because a " + kind + " gives no scores");
    }
    files = sorted(files);
    files.keySet().forEach(CheckpointManifest::checkFileName);
  }

  /** Begins the description of a checkpoint whose files are not written yet. */
  public static Builder describing(CheckpointKind kind, String name, long version) {
    return new Builder(kind, name, version);
  }

  /** A manifest without files, field by field. A field that is not set is null, 0 or empty. */
  public static final class Builder {
    private final CheckpointKind kind;
    private final String name;
    private final long version;
    private Long parent;
    private long iteration;
    private long step;
    private Map<String, Long> records = Map.of();
    private Map<String, Double> metrics = Map.of();
    private Optional<Base> base = Optional.empty();
    private Optional<ScoreScale> scores = Optional.empty();

    private Builder(CheckpointKind kind, String name, long version) {
      this.kind = kind;
      this.name = name;
      this.version = version;
    }

    /** The version that training started from; null for none. */
    public Builder parent(Long parentVersion) {
      this.parent = parentVersion;
      return this;
    }

    /** Iterations so far. */
    public Builder iteration(long count) {
      this.iteration = count;
      return this;
    }

    /** Updates so far. */
    public Builder step(long count) {
      this.step = count;
      return this;
    }

    /** Records consumed so far, by kind. */
    public Builder records(Map<String, Long> counts) {
      this.records = counts;
      return this;
    }

    /** Metrics by name, all of them finite. */
    public Builder metrics(Map<String, Double> values) {
      this.metrics = values;
      return this;
    }

    /** The checkpoint below an adapter. */
    public Builder base(Optional<Base> below) {
      this.base = below;
      return this;
    }

    /** How the scores of a reward model are anchored. */
    public Builder scores(Optional<ScoreScale> scale) {
      this.scores = scale;
      return this;
    }

    /**
     * The manifest.
     *
     * @throws IllegalArgumentException naming the field that is out of bounds, and its value
     */
    public CheckpointManifest build() {
      return new CheckpointManifest(
          FORMAT_VERSION,
          kind,
          name,
          version,
          parent,
          iteration,
          step,
          records,
          metrics,
          base,
          scores,
          Map.of());
    }
  }

  /** This manifest with the given files. */
  public CheckpointManifest withFiles(Map<String, FileEntry> newFiles) {
    return new CheckpointManifest(
        formatVersion,
        kind,
        name,
        version,
        parent,
        iteration,
        step,
        records,
        metrics,
        base,
        scores,
        newFiles);
  }

  /** The text of the file. The same manifest gives the same bytes. */
  public String toJson() {
    ObjectNode root = Json.object();
    root.put("format", formatVersion);
    root.put("kind", kind.name());
    root.put("name", name);
    root.put("version", version);
    root.put("parent", parent);
    root.put("iteration", iteration);
    root.put("step", step);
    ObjectNode counts = root.putObject("records");
    records.forEach(counts::put);
    ObjectNode values = root.putObject("metrics");
    metrics.forEach(values::put);
    base.ifPresent(
        below -> root.putObject("base").put("uri", below.uri()).put("sha256", below.sha256()));
    scores.ifPresent(
        scale -> {
          ObjectNode written =
              root.putObject("scores")
                  .put("anchors", scale.anchors())
                  .put("pivot", scale.pivot())
                  .put("value", scale.value())
                  .put("below", scale.below())
                  .put("above", scale.above());
          if (!scale.headOffsets().isEmpty()) {
            scale.headOffsets().forEach(written.putArray(HEAD_OFFSETS)::add);
          }
        });
    ObjectNode entries = root.putObject("files");
    files.forEach(
        (fileName, entry) ->
            entries.putObject(fileName).put("sha256", entry.sha256()).put("size", entry.size()));
    return Json.text(root);
  }

  /**
   * Reads and checks a manifest.
   *
   * @throws CheckpointException naming the file, the field and its value
   */
  public static CheckpointManifest read(Path file) {
    ObjectNode root = Json.read(file);
    try {
      return new CheckpointManifest(
          small("format", root.path("format")),
          kind(root),
          text(root, "name"),
          whole(root, "version"),
          root.path("parent").isNull() ? null : (Long) whole(root, "parent"),
          whole(root, "iteration"),
          whole(root, "step"),
          map(root, "records", CheckpointManifest::whole),
          map(root, "metrics", CheckpointManifest::number),
          base(root),
          scores(root),
          map(root, "files", CheckpointManifest::file));
    } catch (IllegalArgumentException e) {
      throw CheckpointException.of(file, e.getMessage(), e);
    }
  }

  private static CheckpointKind kind(ObjectNode root) {
    String kind = text(root, "kind");
    for (CheckpointKind known : CheckpointKind.values()) {
      if (known.name().equals(kind)) {
        return known;
      }
    }
    throw new IllegalArgumentException(
        "kind is '" + CheckpointException.shorten(kind) + "' but must be POLICY or REWARD_MODEL");
  }

  private static String text(JsonNode from, String key) {
    if (!from.path(key).isTextual()) {
      throw wrong(key, from.path(key), "a string");
    }
    return from.path(key).textValue();
  }

  private static long whole(JsonNode from, String key) {
    return whole(key, from.path(key));
  }

  private static long whole(String key, JsonNode node) {
    if (!node.isIntegralNumber() || !node.canConvertToLong()) {
      throw wrong(key, node, "a whole number");
    }
    return node.longValue();
  }

  private static int small(String key, JsonNode node) {
    if (!node.isIntegralNumber() || !node.canConvertToInt()) {
      throw wrong(key, node, "a whole number of at most " + Integer.MAX_VALUE);
    }
    return node.intValue();
  }

  private static double number(String key, JsonNode node) {
    if (!node.isNumber()) {
      throw wrong(key, node, "a number");
    }
    return node.doubleValue();
  }

  private static Optional<Base> base(ObjectNode root) {
    JsonNode base = root.path("base");
    return base.isMissingNode()
        ? Optional.empty()
        : Optional.of(new Base(text(base, "uri"), text(base, "sha256")));
  }

  private static Optional<ScoreScale> scores(ObjectNode root) {
    JsonNode scores = root.path("scores");
    if (!scores.isMissingNode() && !scores.isObject()) {
      throw wrong("scores", scores, "an object");
    }
    return scores.isMissingNode()
        ? Optional.empty()
        : Optional.of(
            new ScoreScale(
                small("scores.anchors", scores.path("anchors")),
                number("scores.pivot", scores.path("pivot")),
                number("scores.value", scores.path("value")),
                number("scores.below", scores.path("below")),
                number("scores.above", scores.path("above")),
                offsets(scores.path(HEAD_OFFSETS))));
  }

  private static List<Double> offsets(JsonNode node) {
    String key = "scores." + HEAD_OFFSETS;
    if (!node.isMissingNode() && !node.isArray()) {
      throw wrong(key, node, "an array of numbers");
    }
    List<Double> offsets = new ArrayList<>();
    node.forEach(each -> offsets.add(number(key, each)));
    return offsets;
  }

  private static FileEntry file(String key, JsonNode node) {
    try {
      return new FileEntry(text(node, "sha256"), whole(node, "size"));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(key + ": " + e.getMessage(), e);
    }
  }

  /** Reads a value; errors name its key. */
  private interface ValueReader<T> {
    T read(String key, JsonNode node);
  }

  private static <T> Map<String, T> map(ObjectNode root, String key, ValueReader<T> reader) {
    if (!root.path(key).isObject()) {
      throw wrong(key, root.path(key), "an object");
    }
    Map<String, T> values = new TreeMap<>();
    for (Map.Entry<String, JsonNode> entry : root.path(key).properties()) {
      values.put(entry.getKey(), reader.read(key + "." + entry.getKey(), entry.getValue()));
    }
    return values;
  }

  private static IllegalArgumentException wrong(String key, JsonNode node, String expected) {
    String value = node.isMissingNode() ? "absent" : CheckpointException.shorten(node.toString());
    return new IllegalArgumentException(
        CheckpointException.shorten(key) + " is " + value + " but must be " + expected);
  }

  private static void checkDigest(String sha256) {
    if (!sha256.matches("[0-9a-f]{64}")) {
      throw new IllegalArgumentException(
          "sha256 is '"
              + CheckpointException.shorten(sha256)
              + "' but must be 64 lower-case hexadecimal digits");
    }
  }

  private static void checkMetric(String name, double value) {
    if (!Double.isFinite(value)) {
      throw new IllegalArgumentException(
          "metrics."
              + name
              + " is "
              + value
              + " but must be finite; omit a metric without a value");
    }
  }

  private static void checkFileName(String fileName) {
    if (!FileTools.isPlainName(fileName) || fileName.equals(FILE_NAME)) {
      throw new IllegalArgumentException(
          "files holds '"
              + CheckpointException.shorten(fileName)
              + "' but must hold plain names of other files in the same directory");
    }
  }

  private static void notNegative(String name, long value) {
    if (value < 0) {
      throw new IllegalArgumentException(name + " is " + value + " but must not be negative");
    }
  }

  /** A sorted, unmodifiable copy. The order of the keys affects the digest. */
  private static <T> Map<String, T> sorted(Map<String, T> map) {
    return Collections.unmodifiableMap(new TreeMap<>(map));
  }
}

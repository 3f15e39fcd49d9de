package io.millrace.model.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * The tensors of a directory. They are in {@code model.safetensors}, or in several files with
 * {@code model.safetensors.index.json}, which names the file of each tensor.
 */
public final class CheckpointTensors implements AutoCloseable {
  static final String SINGLE = "model.safetensors";
  static final String INDEX = "model.safetensors.index.json";

  private final List<Safetensors> files;
  private final Map<String, Safetensors> byName;

  /** What the names in the files begin with; it is no part of the tensors' names. */
  private final String prefix;

  private CheckpointTensors(
      List<Safetensors> files, Map<String, Safetensors> byName, String prefix) {
    this.files = files;
    this.prefix = prefix;
    this.byName = Collections.unmodifiableMap(byName);
  }

  /**
   * Opens the single file, or else the files of the index.
   *
   * @throws CheckpointException if there is neither, or if a file breaks a rule
   */
  public static CheckpointTensors open(Path dir) {
    List<Safetensors> opened = new ArrayList<>();
    try {
      Map<String, Safetensors> byName = new LinkedHashMap<>();
      if (Files.exists(dir.resolve(SINGLE))) {
        Safetensors file = Safetensors.open(dir.resolve(SINGLE));
        opened.add(file);
        file.names().forEach(name -> byName.put(name, file));
      } else if (Files.exists(dir.resolve(INDEX))) {
        openShards(dir, opened, byName);
      } else {
        throw CheckpointException.of(
            dir,
            "has neither "
                + SINGLE
                + " nor "
                + INDEX
                + "; convert weights in other formats to safetensors first");
      }
      return new CheckpointTensors(opened, byName, "");
    } catch (RuntimeException e) {
      opened.forEach(Safetensors::close);
      throw e;
    }
  }

  /**
   * Opens the file of an adapter.
   *
   * @throws CheckpointException if it is missing or breaks a rule
   */
  static CheckpointTensors openAdapter(Path dir) {
    Path path = dir.resolve(CheckpointAdapter.WEIGHTS);
    Safetensors file = Safetensors.open(path);
    Map<String, Safetensors> byName = new LinkedHashMap<>();
    for (String name : file.names()) {
      if (!name.startsWith(CheckpointAdapter.PREFIX)) {
        file.close();
        throw CheckpointException.ofTensor(
            path, name, "must begin with " + CheckpointAdapter.PREFIX + ", as PEFT writes it");
      }
      byName.put(name.substring(CheckpointAdapter.PREFIX.length()), file);
    }
    return new CheckpointTensors(List.of(file), byName, CheckpointAdapter.PREFIX);
  }

  /** Writes the tensors of an adapter, in the map's order. */
  static void writeAdapter(Path dir, Map<String, ? extends TensorSource> tensors) {
    Map<String, TensorSource> named = new LinkedHashMap<>();
    tensors.forEach((name, source) -> named.put(CheckpointAdapter.PREFIX + name, source));
    Safetensors.write(
        dir.resolve(CheckpointAdapter.WEIGHTS), named, DType.F32, Map.of("format", "pt"));
  }

  private static void openShards(
      Path dir, List<Safetensors> opened, Map<String, Safetensors> byName) {
    Path index = dir.resolve(INDEX);
    Map<String, String> fileOf = readIndex(index);
    Map<String, Safetensors> shards = new LinkedHashMap<>();
    for (String fileName : new TreeSet<>(fileOf.values())) {
      Safetensors shard = Safetensors.open(dir.resolve(fileName));
      opened.add(shard);
      shards.put(fileName, shard);
    }
    fileOf.forEach(
        (name, fileName) -> {
          Safetensors shard = shards.get(fileName);
          if (!shard.names().contains(name)) {
            throw CheckpointException.ofTensor(
                index, name, "is not in " + fileName + ", which the index names for it");
          }
          byName.put(name, shard);
        });
    shards.forEach(
        (fileName, shard) -> {
          for (String name : shard.names()) {
            if (!fileName.equals(fileOf.get(name))) {
              throw CheckpointException.ofTensor(
                  index,
                  name,
                  "is in "
                      + fileName
                      + " but the index names "
                      + (fileOf.get(name) == null ? "no file for it" : fileOf.get(name)));
            }
          }
        });
  }

  private static Map<String, String> readIndex(Path index) {
    JsonNode weightMap = Json.read(index).path("weight_map");
    if (!weightMap.isObject() || weightMap.isEmpty()) {
      throw CheckpointException.of(
          index,
          "weight_map must be an object with a file name for each tensor, and at least one tensor");
    }
    Map<String, String> fileOf = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> entry : weightMap.properties()) {
      String fileName = entry.getValue().textValue();
      if (fileName == null
          || !FileTools.isPlainName(fileName)
          || !fileName.endsWith(".safetensors")) {
        throw CheckpointException.ofTensor(
            index,
            entry.getKey(),
            "weight_map names "
                + CheckpointException.shorten(entry.getValue().toString())
                + " but must name a .safetensors file of the same directory, as a plain name");
      }
      fileOf.put(entry.getKey(), fileName);
    }
    return fileOf;
  }

  /**
   * Writes tensors in the map's order to one file. If they have more than {@code maxFileBytes}
   * bytes, writes them to several files with an index. A tensor larger than the limit gets a file
   * of its own.
   *
   * @param dtype F32 or BF16
   */
  public static void write(
      Path dir, Map<String, ? extends TensorSource> tensors, DType dtype, long maxFileBytes) {
    if (maxFileBytes <= 0) {
      throw new IllegalArgumentException(
          "maxFileBytes is " + maxFileBytes + " but must be above 0");
    }
    // transformers refuses a file whose metadata does not name the framework of its layout.
    Map<String, String> metadata = Map.of("format", "pt");
    List<Map<String, TensorSource>> shards = split(tensors, dtype, maxFileBytes);
    if (shards.size() == 1) {
      Safetensors.write(dir.resolve(SINGLE), shards.getFirst(), dtype, metadata);
      return;
    }
    ObjectNode index = Json.object();
    index
        .putObject("metadata")
        .put(
            "total_size",
            tensors.values().stream().mapToLong(tensor -> bytes(tensor, dtype)).sum());
    ObjectNode weightMap = index.putObject("weight_map");
    for (int i = 0; i < shards.size(); i++) {
      String fileName =
          String.format(Locale.ROOT, "model-%05d-of-%05d.safetensors", i + 1, shards.size());
      Safetensors.write(dir.resolve(fileName), shards.get(i), dtype, metadata);
      shards.get(i).keySet().forEach(name -> weightMap.put(name, fileName));
    }
    FileTools.writeText(dir.resolve(INDEX), Json.text(index));
  }

  private static List<Map<String, TensorSource>> split(
      Map<String, ? extends TensorSource> tensors, DType dtype, long maxFileBytes) {
    List<Map<String, TensorSource>> shards = new ArrayList<>();
    Map<String, TensorSource> current = new LinkedHashMap<>();
    long size = 0;
    for (Map.Entry<String, ? extends TensorSource> entry : tensors.entrySet()) {
      long bytes = bytes(entry.getValue(), dtype);
      if (!current.isEmpty() && bytes > maxFileBytes - size) {
        shards.add(current);
        current = new LinkedHashMap<>();
        size = 0;
      }
      current.put(entry.getKey(), entry.getValue());
      size += bytes;
    }
    shards.add(current);
    return shards;
  }

  private static long bytes(TensorSource source, DType dtype) {
    return Math.multiplyExact(TensorSource.elementCount(source.shape()), dtype.bits() / 8L);
  }

  /** A tensor of this checkpoint as a source for writing, read from the mapping piece by piece. */
  TensorSource source(String name, int[] shape) {
    return new TensorSource() {
      @Override
      public int[] shape() {
        return shape.clone();
      }

      @Override
      public void read(long first, float[] chunk, int count) {
        CheckpointTensors.this.read(name, first, chunk, 0, count);
      }
    };
  }

  /** Names of all tensors. */
  public Set<String> names() {
    return byName.keySet();
  }

  /** The files that hold them. */
  public Collection<Path> files() {
    return files.stream().map(Safetensors::path).toList();
  }

  /**
   * The file that holds a tensor.
   *
   * @throws CheckpointException if there is none
   */
  Safetensors holding(String name) {
    Safetensors file = byName.get(name);
    if (file == null) {
      throw CheckpointException.ofTensor(
          files.getFirst().path().getParent(),
          name,
          "is not in the checkpoint" + CheckpointException.nearest(name, names()));
    }
    return file;
  }

  /** As {@link Safetensors#info}. */
  public TensorInfo info(String name) {
    return holding(name).info(prefix + name);
  }

  /** As {@link Safetensors#readFloats}. */
  public float[] readFloats(String name) {
    return holding(name).readFloats(prefix + name);
  }

  /** As {@link Safetensors#readInto}. */
  public void readInto(String name, float[] dst, int dstOffset) {
    holding(name).readInto(prefix + name, dst, dstOffset);
  }

  /** As {@link Safetensors#read}. */
  public void read(String name, long first, float[] dst, int dstOffset, int count) {
    holding(name).read(prefix + name, first, dst, dstOffset, count);
  }

  /** Unmaps all files. */
  @Override
  public void close() {
    files.forEach(Safetensors::close);
  }
}

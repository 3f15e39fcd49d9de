package io.millrace.connectors.exchange.file;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.hardwood.InputFile;
import dev.hardwood.metadata.ColumnMetaData;
import dev.hardwood.reader.ParquetFileReader;
import dev.hardwood.reader.RowReader;
import dev.hardwood.row.PqList;
import dev.hardwood.row.PqMap;
import dev.hardwood.row.StructAccessor;
import io.millrace.schemas.PlainFiles;
import io.millrace.schemas.wire.StrictJson;
import io.millrace.schemas.wire.WireFormatException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;

/** Parquet, read by Hardwood. Structs are objects, lists arrays, maps objects. */
final class ParquetRows implements Rows {
  private static final byte[] MAGIC = "PAR1".getBytes(StandardCharsets.US_ASCII);
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  private final Path file;
  private final Bounds bounds;
  private final ParquetFileReader reader;
  private final RowReader rows;
  private final long size;
  private long number;

  ParquetRows(Path file, Bounds bounds) throws IOException {
    PlainFiles.require(file);
    this.file = file;
    this.bounds = bounds;
    try {
      this.reader = ParquetFileReader.open(InputFile.of(file));
    } catch (IOException | RuntimeException e) {
      // The library's errors about damaged files are of many types.
      throw damaged(e);
    }
    try {
      requireBounded();
      this.size = reader.getFileMetaData().numRows();
      this.rows = reader.rowReader();
    } catch (IOException e) {
      reader.close();
      throw e;
    } catch (RuntimeException e) {
      reader.close();
      throw damaged(e);
    }
  }

  static boolean isParquet(Path file) throws IOException {
    try (InputStream in = PlainFiles.open(file)) {
      return Arrays.equals(in.readNBytes(MAGIC.length), MAGIC);
    }
  }

  private void requireBounded() throws IOException {
    long compressed = 0;
    long content = 0;
    for (var group : reader.getFileMetaData().rowGroups()) {
      for (var column : group.columns()) {
        ColumnMetaData data = column.metaData();
        compressed += Math.max(0, data.totalCompressedSize());
        content += Math.max(0, data.totalUncompressedSize());
      }
    }
    if (content < 0
        || content > bounds.mostBytes()
        || (content > bounds.freeBytes() && content / bounds.mostRatio() > compressed)) {
      throw new IOException(
          "%s claims to have %d bytes of content in %d compressed bytes; at most %d bytes and %d-fold are read"
              .formatted(file, content, compressed, bounds.mostBytes(), bounds.mostRatio()));
    }
  }

  private IOException damaged(Exception e) {
    return new IOException(
        "%s cannot be read as Parquet: %s"
            .formatted(file, e.getMessage() == null ? e.toString() : e.getMessage()),
        e);
  }

  @Override
  public Optional<Row> next() throws IOException {
    JsonNode value;
    try {
      if (!rows.hasNext()) {
        return Optional.empty();
      }
      rows.next();
      number++;
      value = object(rows);
    } catch (UncheckedIOException e) {
      throw e.getCause();
    } catch (RuntimeException e) {
      throw damaged(e);
    }
    String text = value.toString();
    try {
      if (text.length() > bounds.mostRowBytes()) {
        throw new WireFormatException(
            "the row has more than %d characters".formatted(bounds.mostRowBytes()));
      }
      return Optional.of(Row.of(number, StrictJson.read(text)));
    } catch (WireFormatException e) {
      return Optional.of(
          Row.broken(number, e.getMessage(), text.getBytes(StandardCharsets.UTF_8)));
    }
  }

  private static ObjectNode object(StructAccessor struct) {
    ObjectNode object = NODES.objectNode();
    for (int i = 0; i < struct.getFieldCount(); i++) {
      if (!struct.isNull(i)) {
        object.set(struct.getFieldName(i), node(struct.getValue(i)));
      }
    }
    return object;
  }

  private static JsonNode node(Object value) {
    return switch (value) {
      case null -> NODES.nullNode();
      case String text -> NODES.textNode(text);
      case Boolean flag -> NODES.booleanNode(flag);
      case Integer number -> NODES.numberNode(number);
      case Long number -> NODES.numberNode(number);
      case Float number -> NODES.numberNode(number);
      case Double number -> NODES.numberNode(number);
      case StructAccessor struct -> object(struct);
      case PqList list -> {
        ArrayNode array = NODES.arrayNode();
        list.values().forEach(element -> array.add(node(element)));
        yield array;
      }
      case PqMap map -> {
        ObjectNode object = NODES.objectNode();
        map.getEntries().forEach(e -> object.set(String.valueOf(e.getKey()), node(e.getValue())));
        yield object;
      }
      // Columns of strings without the annotation that they are strings.
      case byte[] bytes -> NODES.textNode(new String(bytes, StandardCharsets.UTF_8));
      default -> NODES.textNode(value.toString());
    };
  }

  @Override
  public String unit() {
    return "row";
  }

  @Override
  public double progress() {
    return size == 0 ? 1 : (double) number / size;
  }

  @Override
  public void close() throws IOException {
    rows.close();
    reader.close();
  }
}

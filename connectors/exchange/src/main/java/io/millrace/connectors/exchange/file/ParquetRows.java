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
import java.io.InterruptedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.logging.Level;
import java.util.logging.Logger;

/** Parquet, read by Hardwood. Structs are objects, lists arrays, maps objects. */
final class ParquetRows implements Rows {
  private static final byte[] MAGIC = "PAR1".getBytes(StandardCharsets.US_ASCII);

  /** The library's notes about processors are of no use to those who import. */
  private static final Logger LIBRARY = Logger.getLogger("dev.hardwood");

  static {
    LIBRARY.setLevel(Level.WARNING);
  }

  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  /** So many rows are read at once, unless their text is long. */
  private static final int ROWS_AT_ONCE = 256;

  private static final int TEXT_AT_ONCE = 4 << 20;

  private final Path file;
  private final Bounds bounds;

  /** The library's calls run here, so that one which never returns can be given up. */
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(
          work -> Thread.ofPlatform().name("parquet").daemon().unstarted(work));

  private final Queue<Row> ready = new ArrayDeque<>();
  private ParquetFileReader reader;
  private RowReader rows;
  private long size;
  private long read;
  private long number;
  private RuntimeException failure;
  private boolean stuck;

  ParquetRows(Path file, Bounds bounds) throws IOException {
    PlainFiles.require(file);
    this.file = file;
    this.bounds = bounds;
    try {
      call(this::open);
    } catch (IOException e) {
      close();
      throw e;
    }
  }

  private Void open() throws IOException {
    reader = ParquetFileReader.open(InputFile.of(file));
    requireBounded();
    size = reader.getFileMetaData().numRows();
    rows = reader.rowReader();
    return null;
  }

  private <T> T call(Callable<T> work) throws IOException {
    Future<T> result = thread.submit(work);
    try {
      return result.get(bounds.patience().toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      stuck = true;
      result.cancel(true);
      throw damaged("it gave no row within %s".formatted(bounds.patience()), e);
    } catch (ExecutionException e) {
      // The library's errors about damaged files are of many types.
      String message = e.getCause().getMessage();
      throw damaged(message == null ? e.getCause().toString() : message, e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while reading " + file);
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
          "it claims to have %d bytes of content in %d compressed bytes; at most %d bytes and %d-fold are read"
              .formatted(content, compressed, bounds.mostBytes(), bounds.mostRatio()));
    }
  }

  private IOException damaged(String problem, Throwable cause) {
    return new IOException("%s cannot be read as Parquet: %s".formatted(file, problem), cause);
  }

  @Override
  public Optional<Row> next() throws IOException {
    if (ready.isEmpty()) {
      ready.addAll(call(this::readSome));
    }
    Optional<Row> next = Optional.ofNullable(ready.poll());
    number = next.map(Row::number).orElse(number);
    return next;
  }

  /** The next rows; none at the end. Rows before a damaged one are returned first. */
  private List<Row> readSome() {
    List<Row> some = new ArrayList<>();
    int length = 0;
    try {
      while (failure == null
          && some.size() < ROWS_AT_ONCE
          && length < TEXT_AT_ONCE
          && rows.hasNext()) {
        rows.next();
        String text = object(rows).toString();
        length += text.length();
        some.add(row(++read, text));
      }
    } catch (RuntimeException e) {
      // The library may take a damaged page for the end the next time.
      failure = e;
    }
    if (some.isEmpty() && failure != null) {
      throw failure;
    }
    if (some.isEmpty() && read < size) {
      throw new IllegalStateException("it ends after %d of %d rows".formatted(read, size));
    }
    return some;
  }

  private Row row(long number, String text) {
    try {
      if (text.length() > bounds.mostRowBytes()) {
        throw new WireFormatException(
            "the row has more than %d characters".formatted(bounds.mostRowBytes()));
      }
      return Row.of(number, StrictJson.read(text));
    } catch (WireFormatException e) {
      return Row.broken(number, e.getMessage(), text.getBytes(StandardCharsets.UTF_8));
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

  /** What waits for ever cannot be closed. */
  @Override
  public void close() throws IOException {
    try {
      if (!stuck) {
        call(this::closeReader);
      }
    } finally {
      thread.shutdownNow();
    }
  }

  private Void closeReader() throws IOException {
    if (rows != null) {
      rows.close();
    }
    if (reader != null) {
      reader.close();
    }
    return null;
  }
}

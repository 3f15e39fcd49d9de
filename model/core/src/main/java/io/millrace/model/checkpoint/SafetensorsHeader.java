package io.millrace.model.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import io.millrace.schemas.PlainFiles;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The JSON header of a safetensors file. It is parsed and checked against the size of the data. No
 * value from a file is used before it is checked here.
 */
final class SafetensorsHeader {
  /** The limit of the format, in bytes. */
  static final long MAX_BYTES = 100_000_000;

  static final String METADATA = "__metadata__";

  /** A valid header has three levels: file, tensor, shape. */
  private static final int MAX_DEPTH = 8;

  private static final int MAX_RANK = 64;

  private static final JsonFactory JSON =
      new JsonFactoryBuilder()
          .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(MAX_DEPTH).build())
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .build();

  private final Path path;
  private final long dataBytes;
  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
  private final Map<String, String> metadata = new LinkedHashMap<>();

  private SafetensorsHeader(Path path, long dataBytes) {
    this.path = path;
    this.dataBytes = dataBytes;
  }

  /**
   * Parses and checks a header.
   *
   * @param path for error messages only
   * @param json the bytes of the header
   * @param dataBytes number of bytes after the header
   * @throws CheckpointException if the header breaks a rule of the format
   */
  static SafetensorsHeader parse(Path path, byte[] json, long dataBytes) {
    SafetensorsHeader header = new SafetensorsHeader(path, dataBytes);
    if (json.length == 0 || json[0] != '{') {
      throw CheckpointException.of(
          path,
          "the header must start with '{' but "
              + (json.length == 0 ? "is empty" : "starts with byte " + (json[0] & 0xff)));
    }
    // Decodes the text strictly first: from bytes, the parser would guess among UTF-8, UTF-16 and
    // UTF-32.
    InputStreamReader text =
        new InputStreamReader(
            new ByteArrayInputStream(json),
            StandardCharsets.UTF_8
                .newDecoder()
                .onMalformedInput(CodingErrorAction.REPORT)
                .onUnmappableCharacter(CodingErrorAction.REPORT));
    try (JsonParser parser = JSON.createParser(text)) {
      header.parseTensors(parser);
    } catch (CharacterCodingException e) {
      throw CheckpointException.of(path, "the header is not UTF-8", e);
    } catch (JsonProcessingException e) {
      throw CheckpointException.of(
          path, "the header is not well-formed JSON: " + e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw CheckpointException.of(path, "the header cannot be read: " + PlainFiles.reason(e), e);
    }
    header.checkLayout();
    return header;
  }

  Map<String, TensorInfo> tensors() {
    return Collections.unmodifiableMap(tensors);
  }

  Map<String, String> metadata() {
    return Collections.unmodifiableMap(metadata);
  }

  private void parseTensors(JsonParser parser) throws IOException {
    parser.nextToken();
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String name = parser.currentName();
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw bad(name, "must be an object but is " + shown(parser));
      }
      if (name.equals(METADATA)) {
        parseMetadata(parser);
      } else {
        tensors.put(name, parseTensor(parser, name));
      }
    }
    if (parser.nextToken() != null) {
      throw CheckpointException.of(path, "the header has text after its closing '}'");
    }
  }

  private void parseMetadata(JsonParser parser) throws IOException {
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String key = parser.currentName();
      if (parser.nextToken() != JsonToken.VALUE_STRING) {
        throw CheckpointException.of(
            path,
            METADATA
                + "."
                + CheckpointException.shorten(key)
                + " must be a string but is "
                + shown(parser));
      }
      metadata.put(key, parser.getText());
    }
  }

  private TensorInfo parseTensor(JsonParser parser, String name) throws IOException {
    DType dtype = null;
    long[] shape = null;
    long[] offsets = null;
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String key = parser.currentName();
      parser.nextToken();
      switch (key) {
        case "dtype" -> dtype = parseDType(parser, name);
        case "shape" -> shape = parseLongs(parser, name, "shape");
        case "data_offsets" -> offsets = parseLongs(parser, name, "data_offsets");
        default -> parser.skipChildren(); // ignored: later versions of the format may add keys
      }
    }
    if (dtype == null || shape == null || offsets == null) {
      String missing = dtype == null ? "dtype" : shape == null ? "shape" : "data_offsets";
      throw bad(name, missing + " is missing");
    }
    return check(name, dtype, shape, offsets);
  }

  private DType parseDType(JsonParser parser, String name) throws IOException {
    DType dtype =
        parser.currentToken() == JsonToken.VALUE_STRING ? DType.named(parser.getText()) : null;
    if (dtype == null) {
      throw bad(
          name,
          "dtype "
              + shown(parser)
              + " is unknown (known: "
              + Arrays.toString(DType.values())
              + ")");
    }
    return dtype;
  }

  private long[] parseLongs(JsonParser parser, String name, String key) throws IOException {
    if (parser.currentToken() != JsonToken.START_ARRAY) {
      throw bad(name, key + " must be a list but is " + shown(parser));
    }
    long[] values = new long[MAX_RANK];
    int count = 0;
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT) {
        throw bad(name, key + " must hold whole numbers but holds " + shown(parser));
      }
      if (parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER) {
        throw bad(name, key + " holds " + shown(parser) + ", above the size of any file");
      }
      if (count == MAX_RANK) {
        throw bad(name, key + " has more than " + MAX_RANK + " entries");
      }
      values[count] = parser.getLongValue();
      if (values[count] < 0) {
        throw bad(name, key + " holds the negative number " + values[count]);
      }
      count++;
    }
    return Arrays.copyOf(values, count);
  }

  private TensorInfo check(String name, DType dtype, long[] shape, long[] offsets) {
    if (offsets.length != 2) {
      throw bad(name, "data_offsets must be [begin, end] but is " + Arrays.toString(offsets));
    }
    if (offsets[0] > offsets[1]) {
      throw bad(name, "data_offsets " + Arrays.toString(offsets) + " are reversed");
    }
    if (offsets[1] > dataBytes) {
      throw bad(
          name,
          "data_offsets "
              + Arrays.toString(offsets)
              + " reach beyond the file, which holds "
              + dataBytes
              + " bytes of data: it is truncated or damaged");
    }
    TensorInfo info = new TensorInfo(dtype, shape, offsets[0], offsets[1]);
    long bits;
    try {
      bits = Math.multiplyExact(info.elementCount(), (long) dtype.bits());
    } catch (ArithmeticException e) {
      throw bad(name, "shape " + Arrays.toString(shape) + " overflows the number of bytes");
    }
    if (bits % 8 != 0 || bits / 8 != info.byteCount()) {
      throw bad(
          name,
          "shape "
              + Arrays.toString(shape)
              + " of "
              + dtype
              + " takes "
              + (bits + 7) / 8
              + " bytes but data_offsets "
              + Arrays.toString(offsets)
              + " give "
              + info.byteCount());
    }
    return info;
  }

  /**
   * The rule of the format: the tensors cover the data exactly, without overlap and without a hole.
   */
  private void checkLayout() {
    List<Map.Entry<String, TensorInfo>> sorted = new ArrayList<>(tensors.entrySet());
    sorted.sort(
        Comparator.comparingLong((Map.Entry<String, TensorInfo> entry) -> entry.getValue().begin())
            .thenComparingLong(entry -> entry.getValue().end()));
    long covered = 0;
    for (Map.Entry<String, TensorInfo> entry : sorted) {
      long begin = entry.getValue().begin();
      if (begin < covered) {
        throw bad(
            entry.getKey(),
            "begins at byte "
                + begin
                + " and overlaps the tensor before it, which ends at byte "
                + covered);
      }
      if (begin > covered) {
        throw bad(
            entry.getKey(),
            "begins at byte "
                + begin
                + " after a hole: nothing covers bytes "
                + covered
                + " to "
                + (begin - 1));
      }
      covered = entry.getValue().end();
    }
    if (covered != dataBytes) {
      throw CheckpointException.of(
          path, (dataBytes - covered) + " trailing bytes after the last tensor");
    }
  }

  private CheckpointException bad(String name, String what) {
    return CheckpointException.ofTensor(path, name, what);
  }

  private static String shown(JsonParser parser) throws IOException {
    return parser.currentToken() == null
        ? "the end of the header"
        : "'" + CheckpointException.shorten(parser.getText()) + "'";
  }
}

package io.millrace.schemas.wire;

import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.Nulls;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.cfg.CoercionAction;
import com.fasterxml.jackson.databind.cfg.CoercionInputShape;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.type.LogicalType;
import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;

/**
 * Jackson for files that Millrace itself wrote. A value of another type is an error, never
 * converted. So is a null or absent value, unless its component has {@code @JsonSetter(nulls =
 * Nulls.SET)}.
 */
public final class MillraceJson {

  private static final ObjectMapper JSON = builder().build();

  /** Most bytes of a file. */
  private static final int MOST_BYTES = 64 << 20;

  private MillraceJson() {}

  /** A mapper with these rules. */
  public static JsonMapper.Builder builder() {
    return JsonMapper.builder()
        .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
        .enable(
            DeserializationFeature.FAIL_ON_TRAILING_TOKENS,
            DeserializationFeature.FAIL_ON_NUMBERS_FOR_ENUMS)
        .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
        .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
        .withCoercionConfig(
            LogicalType.Textual,
            texts ->
                texts
                    .setCoercion(CoercionInputShape.Integer, CoercionAction.Fail)
                    .setCoercion(CoercionInputShape.Float, CoercionAction.Fail)
                    .setCoercion(CoercionInputShape.Boolean, CoercionAction.Fail))
        .defaultSetterInfo(JsonSetter.Value.construct(Nulls.FAIL, Nulls.FAIL));
  }

  /**
   * Reads a file that holds one object.
   *
   * @param content the expected content in words, such as "report of a quickstart"
   * @throws IOException with the file, and the field of a bad value
   */
  public static <T extends Record> T read(Path file, Class<T> type, String content)
      throws IOException {
    T read;
    try {
      read = JSON.readValue(PlainFiles.read(file, MOST_BYTES), type);
    } catch (JsonProcessingException e) {
      throw new IOException("%s is no %s: %s".formatted(file, content, JsonProblem.of(e)), e);
    } catch (FileSystemException e) {
      throw e; // It names the file.
    } catch (IOException e) {
      throw new IOException("cannot read %s: %s".formatted(file, e.getMessage()), e);
    }
    if (read == null) {
      throw new IOException("%s is no %s: it is null".formatted(file, content));
    }
    return read;
  }
}

package io.millrace.connectors.exchange.file;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.millrace.schemas.wire.StrictJson;
import io.millrace.schemas.wire.WireFormatException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** One JSON array of objects, read element by element. Damage to the JSON ends the file. */
final class JsonArrayRows implements Rows {
  private static final JsonMapper MAPPER =
      JsonMapper.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

  private final Content content;
  private final RowLimit limit;
  private final JsonParser parser;
  private long number;

  JsonArrayRows(Content content, Bounds bounds) throws IOException {
    this.content = content;
    this.limit = new RowLimit(content.stream(), bounds.mostRowBytes());
    this.parser = MAPPER.createParser(limit);
    if (parser.nextToken() != JsonToken.START_ARRAY) {
      throw new IOException("it begins with [ but is no JSON array");
    }
  }

  /** Refuses to read on when one row takes too many bytes. */
  private static final class RowLimit extends CountedStream {
    private final long most;
    private long start;

    RowLimit(java.io.InputStream in, int most) {
      super(in);
      this.most = most;
    }

    void startRow() {
      start = count();
    }

    @Override
    void add(long bytes) throws IOException {
      super.add(bytes);
      if (count() - start > most) {
        throw new IOException("an element has more than %d bytes".formatted(most));
      }
    }
  }

  @Override
  public Optional<Row> next() throws IOException {
    limit.startRow();
    try {
      if (parser.nextToken() == JsonToken.END_ARRAY) {
        if (parser.nextToken() != null) {
          throw new IOException("there is text after the array");
        }
        return Optional.empty();
      }
      number++;
      JsonNode element = MAPPER.readTree(parser);
      if (element == null) {
        throw new IOException("the array has no end");
      }
      return Optional.of(checked(element));
    } catch (JsonProcessingException e) {
      throw new IOException(
          "not JSON in element %d, line %d: %s"
              .formatted(
                  number,
                  e.getLocation() == null ? 0 : e.getLocation().getLineNr(),
                  e.getOriginalMessage()),
          e);
    }
  }

  /** What {@link StrictJson} refuses is refused here, too. */
  private Row checked(JsonNode element) {
    String text = element.toString();
    try {
      return Row.of(number, StrictJson.read(text));
    } catch (WireFormatException e) {
      return Row.broken(number, e.getMessage(), text.getBytes(StandardCharsets.UTF_8));
    }
  }

  @Override
  public String unit() {
    return "element";
  }

  @Override
  public double progress() {
    return content.progress();
  }

  @Override
  public void close() throws IOException {
    parser.close();
    content.close();
  }
}

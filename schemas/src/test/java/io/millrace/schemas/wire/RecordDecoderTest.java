package io.millrace.schemas.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.Examples;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Topic;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.Test;

class RecordDecoderTest {
  private final Map<Integer, SchemaSource.Registered> registered = new HashMap<>();
  private final RecordDecoder<Prompt> prompts =
      new RecordDecoder<>(
          Prompt.class,
          List.of(),
          id -> {
            SchemaSource.Registered found = registered.get(id);
            if (found == null) {
              throw WireFormatException.unknownSchema("no id " + id);
            }
            return found;
          });

  @Test
  void everyTopicReadsWhatIsWrittenInEveryFormat() {
    for (int i = 0; i < Topic.all().size(); i++) {
      roundTrip(Topic.all().get(i), Examples.all().get(i));
    }
  }

  private <T extends SpecificRecordBase> void roundTrip(
      Topic<T> topic, SpecificRecordBase example) {
    T record = topic.type().cast(example);
    register(7, topic.schema());
    RecordDecoder<T> decoder = new RecordDecoder<>(topic.type(), List.of(), registered::get);
    for (RecordEncoder<T> encoder :
        List.of(
            RecordEncoder.singleObject(topic.type()),
            RecordEncoder.confluent(topic.type(), 7),
            RecordEncoder.<T>json())) {
      assertEquals(record, decoder.decode(encoder.encode(record)), topic.name());
    }
  }

  private void register(int id, Schema schema) {
    registered.put(id, new SchemaSource.Registered(Optional.of(schema)));
  }

  @Test
  void anOlderAndANewerWriterAreResolvedByTheirSchemas() throws IOException {
    Schema older = schema(Prompt.getClassSchema(), "source", "isSafety");
    register(1, older);
    Schema newer = schema(Prompt.getClassSchema());
    newer =
        new Schema.Parser()
            .parse(
                newer
                    .toString()
                    .replaceFirst(
                        "\"fields\":\\[",
                        "\"fields\":[{\"name\":\"locale\",\"type\":[\"null\",\"string\"]},"));
    register(2, newer);
    for (int id : new int[] {1, 2}) {
      Schema writer = registered.get(id).avro().orElseThrow();
      Prompt read = prompts.decode(framed(id, body(writer, record(writer))));
      assertEquals("p9", read.getPromptId());
      assertEquals("Hi", read.getDialogue().getFirst().getContent());
      assertEquals("", read.getSource());
    }
  }

  /** The schema without some fields. */
  private static Schema schema(Schema schema, String... without) {
    return Schema.createRecord(
        schema.getName(),
        null,
        schema.getNamespace(),
        false,
        schema.getFields().stream()
            .filter(field -> !List.of(without).contains(field.name()))
            .map(field -> new Schema.Field(field, field.schema()))
            .toList());
  }

  private static GenericData.Record record(Schema schema) {
    GenericData.Record record = new GenericData.Record(schema);
    Schema turn = schema.getField("dialogue").schema().getElementType();
    GenericData.Record one = new GenericData.Record(turn);
    one.put("role", new GenericData.EnumSymbol(turn.getField("role").schema(), "USER"));
    one.put("content", "Hi");
    record.put("promptId", "p9");
    record.put("dialogue", List.of(one));
    record.put("time", 0L);
    for (String field : List.of("source", "isSafety", "locale")) {
      if (schema.getField(field) != null) {
        record.put(
            field, field.equals("isSafety") ? (Object) false : field.equals("source") ? "" : "de");
      }
    }
    return record;
  }

  private static byte[] body(Schema schema, Object datum) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
    new GenericDatumWriter<>(schema).write(datum, encoder);
    encoder.flush();
    return out.toByteArray();
  }

  private static byte[] framed(int id, byte[] body) {
    return ByteBuffer.allocate(5 + body.length).put((byte) 0).putInt(id).put(body).array();
  }

  @Test
  void jsonOfPeopleIsRead() {
    Instant time = Instant.parse("2026-01-02T03:04:05.678Z");
    for (String text :
        List.of(
            "{\"promptId\":\"p\",\"dialogue\":[{\"role\":\"USER\",\"content\":\"Hé\"}],\"time\":1767323045678}",
            "\r"
                + "\t {\"promptId\":\"p\",\"dialogue\":[{\"role\":\"USER\",\"content\":\"Hé\"}],\"time\":\"2026-01-02T04:04:05.678+01:00\"}"
                + " ",
            "\uFEFF{\"_trace\":{\"a\":[1]},\"promptId\":\"p\",\"dialogue\":[{\"_id\":4,\"role\":\"USER\",\"content\":\"Hé\"}],\"time\":\"2026-01-02T03:04:05.678Z\"}")) {
      Prompt read = prompts.decode(text.getBytes(StandardCharsets.UTF_8));
      assertEquals("Hé", read.getDialogue().getFirst().getContent());
      assertEquals(time, read.getTime());
    }
  }

  @Test
  void unionsAreReadPlainAndAsAvroWritesThem() {
    String judgment =
        """
        {"judgmentId": "j", "objective": "HELPFULNESS",
         "dialogue": [{"role": "USER", "content": "Hi"}],
         "responseA": {"text": "a", "rolloutId": %s, "policyVersion": %s, "unsafe": %s},
         "responseB": {"text": "b"}, "preferred": "A", "rating": "BETTER", "annotator": "x"}
        """;
    RecordDecoder<Judgment> judgments =
        new RecordDecoder<>(Judgment.class, List.of(), SchemaSource.none());
    Judgment plain = judgments.decode(Examples.utf8(judgment.formatted("\"p/0\"", "3", "null")));
    Judgment avro =
        judgments.decode(
            Examples.utf8(judgment.formatted("{\"string\": \"p/0\"}", "{\"long\": 3}", "null")));
    assertEquals(plain, avro);
    assertEquals("p/0", plain.getResponseA().getRolloutId());
    assertEquals(3L, plain.getResponseA().getPolicyVersion());
  }

  @Test
  void aJsonSchemaInTheRegistryMeansJson() {
    registered.put(3, new SchemaSource.Registered(Optional.empty()));
    byte[] json =
        Examples.utf8("{\"promptId\":\"p\",\"dialogue\":[{\"role\":\"USER\",\"content\":\"x\"}]}");
    assertEquals("p", prompts.decode(framed(3, json)).getPromptId());
  }

  @Test
  void whatIsNoRecordHasAReason() throws IOException {
    assertRefused("undecodable", "the value is null (a tombstone)", null);
    assertRefused("undecodable", "the value is empty; expected a Prompt", new byte[0]);
    assertRefused("undecodable", "the value starts with 6E6F; a record", Examples.utf8("no"));
    assertRefused("undecodable", "starts with 5B7B: JSON, but no object", Examples.utf8("[{}]"));
    assertRefused("undecodable", "starts with 22: JSON, but no object", Examples.utf8("\""));
    assertRefused("undecodable", "Confluent framing alone needs 5", new byte[] {0, 0, 0, 1});
    assertRefused("unknown-schema", "no id 99", framed(99, new byte[3]));
    assertRefused("undecodable", "not JSON", Examples.utf8("{\"promptId\":"));
    assertRefused(
        "undecodable", "unknown field \"promptid\"", Examples.utf8("{\"promptid\":\"p\"}"));
    assertRefused("undecodable", "missing field \"promptId\"", Examples.utf8("{}"));
    assertRefused(
        "undecodable", "is not UTF-8", new byte[] {'{', '"', (byte) 0xFF, '"', ':', '1', '}'});
    register(1, Judgment.getClassSchema());
    assertRefused(
        "incompatible-schema",
        "schema id 1 describes io.millrace.schemas.Judgment, and this topic holds",
        framed(1, new byte[9]));
    Schema without = schema(Prompt.getClassSchema(), "promptId");
    register(2, without);
    GenericData.Record record = new GenericData.Record(without);
    record.put("dialogue", List.of());
    record.put("isSafety", false);
    record.put("source", "");
    record.put("time", 0L);
    assertRefused(
        "incompatible-schema", "missing required field promptId", framed(2, body(without, record)));
    byte[] cut = framed(2, new byte[] {2, 0});
    assertRefused("undecodable", "damaged at", cut);
    RecordDecoder<Prompt> none = new RecordDecoder<>(Prompt.class, List.of(), SchemaSource.none());
    WireFormatException e =
        assertThrows(WireFormatException.class, () -> none.decode(framed(5, new byte[1])));
    assertEquals("undecodable", e.reason());
    assertTrue(e.getMessage().contains("set schema.registry.url"), e.getMessage());
  }

  private void assertRefused(String reason, String message, byte[] value) {
    WireFormatException e =
        assertThrows(WireFormatException.class, () -> prompts.decode(value), message);
    assertTrue(e.getMessage().contains(message), e.getMessage());
    assertEquals(reason, e.reason(), e.getMessage());
  }

  /** A few bytes of a hostile schema describe values without end. */
  @Test
  void hostileSchemasAreRefusedAtOnce() {
    StringBuilder bomb = new StringBuilder();
    bomb.append("{\"type\":\"record\",\"name\":\"R0\",\"fields\":[]}");
    String inner = bomb.toString();
    for (int level = 1; level <= 40; level++) {
      String below = "\"R" + (level - 1) + "\"";
      inner =
          "{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"a\",\"type\":%s},{\"name\":\"b\",\"type\":%s},{\"name\":\"c\",\"type\":%s}]}"
              .formatted(level, inner, below, below);
    }
    register(1, new Schema.Parser().parse(prompt("{\"name\":\"x\",\"type\":" + inner + "}")));
    register(
        2,
        new Schema.Parser()
            .parse(prompt("{\"name\":\"x\",\"type\":{\"type\":\"array\",\"items\":\"null\"}}")));
    byte[] nulls = new byte[1 << 20];
    // Blocks of 262143 nulls each, in four bytes.
    ByteBuffer blocks = ByteBuffer.wrap(nulls);
    while (blocks.remaining() >= 4) {
      blocks.put(new byte[] {(byte) 0xFE, (byte) 0xFF, (byte) 0x1F});
    }
    for (byte[] value : List.of(framed(1, new byte[0]), framed(2, nulls))) {
      WireFormatException e =
          assertTimeoutPreemptively(
              Duration.ofSeconds(20),
              () -> assertThrows(WireFormatException.class, () -> prompts.decode(value)));
      assertTrue(e.getMessage().contains("more than"), e.getMessage());
    }
  }

  /** The body takes the null of the union, so that nothing but the schema itself is deep. */
  @Test
  void schemasOfTooManyLevelsAreRefused() throws IOException {
    for (int levels : new int[] {900, 100_000}) {
      Schema deep = Schema.create(Schema.Type.INT);
      for (int i = 0; i < levels; i++) {
        deep = Schema.createArray(deep);
      }
      refusedForItsDepth(deep);
    }
    Schema records = Schema.create(Schema.Type.INT);
    for (int i = 0; i < 20_000; i++) {
      records =
          Schema.createRecord("R" + i, null, null, false, List.of(new Schema.Field("a", records)));
    }
    refusedForItsDepth(records);
    // A few levels, and billions of ways through them.
    Schema below = Schema.createRecord("W0", null, null, false, List.of());
    for (int i = 1; i <= 40; i++) {
      List<Schema.Field> fields = new ArrayList<>();
      for (String name : List.of("a", "b", "c")) {
        fields.add(new Schema.Field(name, below));
      }
      below = Schema.createRecord("W" + i, null, null, false, fields);
    }
    Schema wide = below;
    assertTimeoutPreemptively(
        Duration.ofSeconds(20),
        () -> assertEquals("p9", prompts.decode(withNull(wide)).getPromptId()));
  }

  private void refusedForItsDepth(Schema inner) {
    WireFormatException e =
        assertThrows(WireFormatException.class, () -> prompts.decode(withNull(inner)));
    assertEquals("incompatible-schema", e.reason(), e.getMessage());
    assertTrue(e.getMessage().contains("nested deeper than"), e.getMessage());
  }

  /** A prompt whose writer has a further field, which is null here and may be of another schema. */
  private byte[] withNull(Schema inner) throws IOException {
    List<Schema.Field> fields =
        new ArrayList<>(
            schema(Prompt.getClassSchema()).getFields().stream()
                .map(field -> new Schema.Field(field, field.schema()))
                .toList());
    fields.add(new Schema.Field("x", Schema.createUnion(Schema.create(Schema.Type.NULL), inner)));
    register(1, Schema.createRecord("Prompt", null, "io.millrace.schemas", false, fields));
    byte[] prompt = body(Prompt.getClassSchema(), record(Prompt.getClassSchema()));
    return framed(1, Arrays.copyOf(prompt, prompt.length + 1));
  }

  private static String prompt(String field) {
    return "{\"type\":\"record\",\"name\":\"Prompt\",\"namespace\":\"io.millrace.schemas\",\"fields\":["
        + field
        + "]}";
  }

  @Test
  void jsonOfTooManyTokensIsRefusedBeforeItBecomesATree() {
    byte[] value =
        Examples.utf8("{\"promptId\":[" + "{},".repeat(StrictJson.MAX_TOKENS / 2) + "{}]}");
    assertRefused("undecodable", "more than 2000000 values", value);
  }
}

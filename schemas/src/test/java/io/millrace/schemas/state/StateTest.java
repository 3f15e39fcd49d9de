package io.millrace.schemas.state;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Turn;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.reflect.AvroDefault;
import org.apache.avro.reflect.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StateTest {

  enum Phase {
    COLLECTING,
    LEARNING
  }

  record Inner(String id, int[] tokens, float[] logProbs, boolean stale) {}

  record Whole(
      long count,
      double sum,
      Phase phase,
      List<Inner> batch,
      Map<String, Double> metrics,
      double[] values,
      @Nullable Inner maybe,
      List<Rollout> rollouts) {}

  private static final Rollout ROLLOUT =
      Rollout.newBuilder()
          .setRolloutId("r")
          .setPromptId("p")
          .setDialogue(List.of(new Turn(Role.USER, "Hi")))
          .setIsSafety(false)
          .setModel("policy")
          .setPolicyVersion(3)
          .setPromptTokens(List.of(1, 2))
          .setResponseText("Hello")
          .setResponseTokens(List.of(3))
          .setLogProbs(List.of(-0.5f))
          .setTemperature(1)
          .setTopP(1)
          .setSeed(7)
          .setFinishReason(FinishReason.STOP)
          .setTime(Instant.ofEpochMilli(5))
          .build();

  private static byte[] bytes(Record... parts) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    StateWriter writer = new StateWriter(new DataOutputStream(bytes));
    for (Record part : parts) {
      writer.write(part);
    }
    return bytes.toByteArray();
  }

  private static StateReader reader(byte[] bytes) {
    return new StateReader(new DataInputStream(new ByteArrayInputStream(bytes)));
  }

  @Test
  void everyKindOfComponentSurvivesARoundTrip() throws Exception {
    Whole written =
        new Whole(
            7,
            Double.NaN,
            Phase.LEARNING,
            List.of(new Inner("a", new int[] {1, -2}, new float[] {0.5f}, true)),
            new TreeMap<>(Map.of("loss", Double.NEGATIVE_INFINITY)),
            new double[] {},
            null,
            List.of(ROLLOUT));
    Whole read = reader(bytes(written)).read(Whole.class);
    assertEquals(7, read.count());
    assertTrue(Double.isNaN(read.sum()));
    assertEquals(Phase.LEARNING, read.phase());
    assertEquals(1, read.batch().size());
    Inner inner = read.batch().getFirst();
    assertEquals("a", inner.id());
    assertArrayEquals(new int[] {1, -2}, inner.tokens());
    assertArrayEquals(new float[] {0.5f}, inner.logProbs());
    assertTrue(inner.stale());
    assertEquals(written.metrics(), read.metrics());
    assertEquals(0, read.values().length);
    assertNull(read.maybe());
    assertEquals(List.of(ROLLOUT), read.rollouts());
  }

  /** A number that changes after it was copied. */
  private static final class ChangingValue implements LargeValue {
    private long value;

    ChangingValue(long value) {
      this.value = value;
    }

    @Override
    public void write(DataOutputStream out) throws IOException {
      out.writeLong(value);
    }

    @Override
    public Optional<Copy> copy(CopyBudget budget) {
      if (!budget.take(Long.BYTES)) {
        return Optional.empty();
      }
      long copied = value;
      return Optional.of(
          new Copy() {
            @Override
            public void write(DataOutputStream out) throws IOException {
              out.writeLong(copied);
            }

            @Override
            public void close() {
              budget.give(Long.BYTES);
            }
          });
    }
  }

  /** Whatever the budget is, the bytes are those of the moment in which the state was taken. */
  @ParameterizedTest
  @ValueSource(longs = {0, 8, 20, 24, 1000})
  void aSnapshotHasTheValuesOfItsMoment(long bytes) throws Exception {
    List<ChangingValue> values =
        List.of(new ChangingValue(1), new ChangingValue(2), new ChangingValue(3));
    Inner inner = new Inner("a", new int[300], new float[0], false);
    StateWriter.Source source =
        writer -> {
          writer.write(inner);
          for (ChangingValue value : values) {
            writer.write(value);
            writer.write(inner);
          }
        };
    byte[] expected = StateWriter.toBytes(source);
    CopyBudget budget = new CopyBudget(bytes);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (StateSnapshot snapshot = StateSnapshot.take(new DataOutputStream(out), source, budget)) {
      long copied = Math.min(3, bytes / Long.BYTES);
      assertEquals(copied, snapshot.copied());
      assertEquals(3, snapshot.values());
      assertEquals(copied * Long.BYTES, budget.inUse());
      values.forEach(value -> value.value = -1);
      snapshot.finish();
    }
    assertArrayEquals(expected, out.toByteArray());
    assertEquals(0, budget.inUse());
  }

  @Test
  void aSnapshotThatIsNotFinishedGivesItsMemoryBack() throws Exception {
    CopyBudget budget = new CopyBudget(8);
    StateSnapshot.take(
            new DataOutputStream(OutputStream.nullOutputStream()),
            writer -> writer.write(new ChangingValue(1)),
            budget)
        .close();
    assertEquals(0, budget.inUse());
    assertThrows(
        IOException.class,
        () ->
            StateSnapshot.take(
                new DataOutputStream(OutputStream.nullOutputStream()),
                writer -> {
                  writer.write(new ChangingValue(1));
                  throw new IOException("later");
                },
                budget));
    assertEquals(0, budget.inUse());
  }

  @Test
  void partsFollowEachOtherWithoutAGap() throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    StateWriter writer = new StateWriter(new DataOutputStream(bytes));
    Inner inner = new Inner("a", new int[300], new float[0], false);
    writer.write(inner);
    writer.write(new ChangingValue(42));
    writer.write(inner);
    StateReader reader = reader(bytes.toByteArray());
    assertEquals(300, reader.read(Inner.class).tokens().length);
    assertEquals(42, reader.raw().readLong());
    assertEquals("a", reader.read(Inner.class).id());
    assertEquals(-1, reader.raw().read());
  }

  record Grown(String id, @AvroDefault("[]") List<String> sources, @AvroDefault("-1") long since) {}

  /**
   * State of a former {@code Grown}, without {@code sources} and {@code since}, with another field.
   */
  private static byte[] earlier() throws IOException {
    Schema schema =
        new Schema.Parser()
            .parse(
                """
                {"type": "record", "name": "Grown",
                 "namespace": "io.millrace.schemas.state.StateTest",
                 "fields": [{"name": "gone", "type": "double"}, {"name": "id", "type": "string"}]}
                """);
    GenericData.Record value = new GenericData.Record(schema);
    value.put("gone", 1.5);
    value.put("id", "old");
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    byte[] text = schema.toString().getBytes(StandardCharsets.UTF_8);
    out.writeInt(text.length);
    out.write(text);
    BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(out, null);
    new GenericDatumWriter<GenericData.Record>(schema).write(value, encoder);
    encoder.flush();
    return bytes.toByteArray();
  }

  @Test
  void aComponentAddedWithADefaultReadsOldState() throws Exception {
    assertEquals(new Grown("old", List.of(), -1), reader(earlier()).read(Grown.class));
  }

  record Needy(String id, long since) {}

  @Test
  void aComponentAddedWithoutADefaultCannotReadOldState() throws Exception {
    byte[] old =
        new String(earlier(), StandardCharsets.ISO_8859_1)
            .replace("Grown", "Needy")
            .getBytes(StandardCharsets.ISO_8859_1);
    IOException e = assertThrows(IOException.class, () -> reader(old).read(Needy.class));
    assertTrue(e.getMessage().contains("since"), e.getMessage());
  }

  record Positive(long value) {
    Positive {
      if (value <= 0) {
        throw new IllegalArgumentException("value is " + value + "; it must be above 0");
      }
    }
  }

  /** Has a name as long as {@code Positive}, so the name can be replaced in written bytes. */
  record Anything(long value) {}

  @Test
  void otherStateIsRefusedByName() throws Exception {
    byte[] inner = bytes(new Inner("a", new int[0], new float[0], false));
    IOException other = assertThrows(IOException.class, () -> reader(inner).read(Whole.class));
    assertTrue(
        other
            .getMessage()
            .matches("expected state of .*StateTest.Whole, found .*StateTest.Inner;.*"),
        other.getMessage());
    assertThrows(IOException.class, () -> reader(new byte[] {9, 9, 9, 9}).read(Inner.class));
    assertThrows(EOFException.class, () -> reader(new byte[0]).read(Inner.class));
    byte[] cut = Arrays.copyOf(inner, inner.length - 1);
    assertThrows(IOException.class, () -> reader(cut).read(Inner.class));
  }

  @Test
  void aValueThatTheRecordRefusesIsNamed() throws Exception {
    byte[] zero =
        new String(bytes(new Anything(0)), StandardCharsets.ISO_8859_1)
            .replace("Anything", "Positive")
            .getBytes(StandardCharsets.ISO_8859_1);
    IOException e = assertThrows(IOException.class, () -> reader(zero).read(Positive.class));
    assertTrue(e.getMessage().endsWith("value is 0; it must be above 0"), e.getMessage());
  }

  @Test
  void stateThatEndsEarlyIsNamed() throws Exception {
    byte[] whole = bytes(new Inner("a", new int[] {1, 2}, new float[] {0.5f}, true));
    for (int length = 0; length < whole.length; length++) {
      byte[] cut = Arrays.copyOf(whole, length);
      EOFException e = assertThrows(EOFException.class, () -> reader(cut).read(Inner.class));
      assertTrue(e.getMessage().contains("StateTest$Inner ends early"), e.getMessage());
    }
  }

  /** Whatever the bytes are, the reader either reads a record or reports the type. */
  @Test
  void damagedStateIsReportedWithItsType() throws Exception {
    byte[] whole =
        bytes(
            new Whole(
                7,
                1,
                Phase.LEARNING,
                List.of(new Inner("a", new int[] {1, -2}, new float[] {0.5f}, true)),
                Map.of("loss", 0.5),
                new double[] {1},
                null,
                List.of(ROLLOUT)));
    // High bytes in a length would only allocate memory.
    Random random = new Random(1);
    int refused = 0;
    for (int i = 0; i < 20_000; i++) {
      byte[] damaged = whole.clone();
      damaged[random.nextInt(damaged.length)] = (byte) random.nextInt(128);
      try {
        assertNotNull(reader(damaged).read(Whole.class));
      } catch (IOException e) {
        refused++;
        assertTrue(String.valueOf(e.getMessage()).contains("StateTest"), e.toString());
      }
    }
    assertTrue(refused > 1000, refused + " refused");
  }

  @Test
  void aHostileSchemaIsRefused() throws Exception {
    byte[] whole = bytes(new Inner("a", new int[0], new float[0], false));
    int length = reader(whole).raw().readInt();
    String schema = new String(whole, 4, length, StandardCharsets.UTF_8);
    byte[] body = Arrays.copyOfRange(whole, 4 + length, whole.length);
    String name = "io.millrace.schemas.state.StateTest.Inner";
    for (String hostile :
        List.of(
            "[".repeat(100_000),
            "null",
            "{}",
            "\"string\"",
            "[\"null\", \"string\"]",
            first(schema, "{\"name\":\"again\",\"type\":\"" + name + "\"}"),
            first(
                schema,
                "{\"name\":\"big\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":2000000000}}"),
            first(schema, "{\"name\":\"no name\",\"type\":\"int\"}"),
            schema.replace("\"boolean\"", "\"string\""))) {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      DataOutputStream out = new DataOutputStream(bytes);
      byte[] text = hostile.getBytes(StandardCharsets.UTF_8);
      out.writeInt(text.length);
      out.write(text);
      out.write(body);
      IOException e =
          assertThrows(
              IOException.class, () -> reader(bytes.toByteArray()).read(Inner.class), hostile);
      assertTrue(e.getMessage().contains("StateTest"), e.getMessage());
    }
  }

  /** The schema with another first field. */
  private static String first(String schema, String field) {
    return schema.replaceFirst("\"fields\":\\[", "\"fields\":[" + field + ",");
  }
}

package io.millrace.schemas.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Examples;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Reward;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.message.BinaryMessageEncoder;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SingleObjectTest {
  private static final Path GOLDEN = Path.of("src/test/resources/golden");
  private static final Path HISTORY = Path.of("src/main/resources/io/millrace/schemas/history");

  private final SingleObject<Prompt> prompts = SingleObject.of(Prompt.class);

  @Test
  void everyTopicsBytesEqualTheGoldenFile() throws IOException {
    List<Topic<?>> topics = Topic.all();
    List<SpecificRecordBase> examples = Examples.all();
    assertEquals(topics.size(), examples.size());
    for (int i = 0; i < topics.size(); i++) {
      checkGolden(topics.get(i), examples.get(i));
    }
  }

  private static <T extends SpecificRecordBase> void checkGolden(
      Topic<T> topic, SpecificRecordBase example) throws IOException {
    SingleObject<T> format = SingleObject.of(topic.type());
    T record = topic.type().cast(example);
    Path file = GOLDEN.resolve(topic + ".hex");
    String golden = Files.exists(file) ? Files.readString(file).strip() : "";
    String encoded = HexFormat.of().formatHex(format.encode(record));
    assertEquals(
        golden,
        encoded,
        () ->
            "the wire format of %s changed; add the former schema to history/index in the resources, keep its bytes decodable, and only then replace %s"
                .formatted(topic, file));
    assertEquals(record, format.decode(HexFormat.of().parseHex(golden)));
  }

  @Test
  void readsDemonstrationsFromBeforeTheFirstLearnedTurn() throws IOException {
    String hex = Files.readString(GOLDEN.resolve("demonstrations-e5df757fb1907e05.hex")).strip();
    Demonstration read = SingleObject.of(Demonstration.class).decode(HexFormat.of().parseHex(hex));
    assertEquals("d1", read.getId());
    assertEquals(0, read.getFirstLearnedTurn());
  }

  @Test
  void readsDeadLettersFromBeforeTheirSizes() throws IOException {
    String hex = Files.readString(GOLDEN.resolve("dead-letters-0259068858d91cdd.hex")).strip();
    DeadLetter read = SingleObject.of(DeadLetter.class).decode(HexFormat.of().parseHex(hex));
    assertEquals(42, read.getOffset());
    assertEquals(3, read.getValue().remaining());
    assertNull(read.getValueSize());
  }

  @Test
  void readsPromotionsFromBeforeTheDecisionsOfPersons() throws IOException {
    String hex = Files.readString(GOLDEN.resolve("promotions-e4eabd3f6896060d.hex")).strip();
    Promotion read = SingleObject.of(Promotion.class).decode(HexFormat.of().parseHex(hex));
    assertEquals(6, read.getVersion());
    assertEquals("", read.getDecisionId());
  }

  @Test
  void readsJudgmentsFromBeforeTruncatedResponses() throws IOException {
    String hex = Files.readString(GOLDEN.resolve("judgments-90368b24ef270c76.hex")).strip();
    Judgment read = SingleObject.of(Judgment.class).decode(HexFormat.of().parseHex(hex));
    assertEquals("j1", read.getJudgmentId());
    assertEquals("Paris.", read.getResponseA().getText());
    assertNull(read.getResponseA().getTruncated());
  }

  @Test
  void readsRecordsFromBeforeTheirRevisions() throws IOException {
    String judgments = Files.readString(GOLDEN.resolve("judgments-6068fcb0c587ac93.hex")).strip();
    Judgment judgment = SingleObject.of(Judgment.class).decode(HexFormat.of().parseHex(judgments));
    assertTrue(judgment.getResponseA().getTruncated());
    assertNull(judgment.getRevision());
    String demonstrations =
        Files.readString(GOLDEN.resolve("demonstrations-c44cff8b387b3ee6.hex")).strip();
    Demonstration demonstration =
        SingleObject.of(Demonstration.class).decode(HexFormat.of().parseHex(demonstrations));
    assertEquals(1, demonstration.getFirstLearnedTurn());
    assertNull(demonstration.getRevision());
  }

  @Test
  void readsPromotionsFromBeforeTheBestVersion() throws IOException {
    String hex = Files.readString(GOLDEN.resolve("promotions-7fb7563ab86d54bb.hex")).strip();
    Promotion read = SingleObject.of(Promotion.class).decode(HexFormat.of().parseHex(hex));
    assertEquals(4, read.getBefore());
    assertEquals(0, read.getBest());
    assertEquals("", read.getJudge());
  }

  @Test
  void readsRewardsFromBeforeTheHeadsOfEnsembles() throws IOException {
    String hex = Files.readString(GOLDEN.resolve("rewards-ad1a57fff535ded6.hex")).strip();
    Reward read = SingleObject.of(Reward.class).decode(HexFormat.of().parseHex(hex));
    assertEquals(1.5f, read.getHelpfulnessScore());
    assertEquals(0.125f, read.getKl());
    assertEquals(List.of(), read.getHelpfulnessHeads());
    assertEquals(List.of(), read.getSafetyHeads());
  }

  @Test
  void readsRolloutsFromBeforeTheirEngineAndTheTimeOfTheirPrompt() throws IOException {
    String hex = Files.readString(GOLDEN.resolve("rollouts-89df67eeadb7dd30.hex")).strip();
    Rollout read = SingleObject.of(Rollout.class).decode(HexFormat.of().parseHex(hex));
    assertEquals("", read.getEngine());
    assertNull(read.getPromptTime());
    assertEquals(
        Rollout.newBuilder(Examples.rollout()).setEngine("").setPromptTime(null).build(), read);
  }

  @Test
  void readsRewardCheckpointsFromBeforeThoseThatJudge() throws IOException {
    String hex =
        Files.readString(GOLDEN.resolve("reward-checkpoints-5fdb4fed201e6d87.hex")).strip();
    RewardCheckpoint read =
        SingleObject.of(RewardCheckpoint.class).decode(HexFormat.of().parseHex(hex));
    assertEquals(99, read.getJudgments());
    assertFalse(read.getJudge());
  }

  @Test
  void theIndexOfBundledSchemasIsComplete() throws IOException {
    TreeSet<String> files = new TreeSet<>();
    try (var entries = Files.list(HISTORY)) {
      entries
          .map(path -> path.getFileName().toString())
          .filter(name -> name.endsWith(".avsc"))
          .forEach(files::add);
    }
    assertEquals(files.size(), WriterSchemas.bundled().size());
    assertEquals(
        files,
        new TreeSet<>(
            Files.readAllLines(HISTORY.resolve("index")).stream()
                .filter(line -> !line.isBlank() && !line.startsWith("#"))
                .toList()));
  }

  @Test
  void readsAnOlderWriterThatLacksAField() throws IOException {
    Schema older = edited("{\"name\":\"isSafety\",", "{\"name\":\"wasCalledOtherwise\",");
    GenericData.Record record = generic(older);
    record.put("wasCalledOtherwise", true);
    Prompt read = prompts.withWriterSchemas(List.of(older)).decode(encode(older, record));
    assertEquals("old", read.getPromptId());
    // The writer had no such field, so it has the reader's default.
    assertEquals(false, read.getIsSafety());
    assertEquals(Role.USER, read.getDialogue().getFirst().getRole());
  }

  @Test
  void readsANewerWriterWithAnExtraField(@TempDir Path directory) throws IOException {
    Schema newer =
        edited(
            "\"fields\":[{\"name\":\"promptId\"",
            "\"fields\":[{\"name\":\"topics\",\"type\":{\"type\":\"array\",\"items\":\"string\"}},"
                + "{\"name\":\"promptId\"");
    Files.writeString(directory.resolve("Prompt-newer.avsc"), newer.toString());
    Files.writeString(directory.resolve("Reward.avsc"), Reward.getClassSchema().toString());
    GenericData.Record record = generic(newer);
    record.put("topics", List.of("a", "b"));
    byte[] bytes = encode(newer, record);

    WireFormatException unknown =
        assertThrows(WireFormatException.class, () -> prompts.decode(bytes));
    String fingerprint = "%016x".formatted(SingleObject.fingerprint(newer));
    assertTrue(unknown.getMessage().contains(fingerprint), unknown.getMessage());
    assertTrue(unknown.getMessage().contains("millrace schemas --out DIR"), unknown.getMessage());
    assertEquals("undecodable", unknown.reason());

    List<Schema> schemas = WriterSchemas.fromDirectory(directory);
    assertEquals(2, schemas.size());
    assertEquals("old", prompts.withWriterSchemas(schemas).decode(bytes).getPromptId());
  }

  @Test
  void readsANewerWriterWithAnExtraSymbolThatIsNotUsed() throws IOException {
    Schema newer = edited("\"ASSISTANT\"]", "\"ASSISTANT\",\"TOOL\"]");
    SingleObject<Prompt> format = prompts.withWriterSchemas(List.of(newer));
    GenericData.Record record = generic(newer);
    byte[] known = encode(newer, record);
    assertEquals("old", format.decode(known).getPromptId());

    Schema turn = newer.getField("dialogue").schema().getElementType();
    GenericData.Record tool = new GenericData.Record(turn);
    tool.put("role", new GenericData.EnumSymbol(turn.getField("role").schema(), "TOOL"));
    tool.put("content", "42");
    record.put("dialogue", List.of(tool));
    byte[] unknown = encode(newer, record);
    WireFormatException e = assertThrows(WireFormatException.class, () -> format.decode(unknown));
    assertTrue(e.getMessage().contains("TOOL"), e.getMessage());
  }

  @Test
  void recognizesOtherFormats() {
    assertMessage("this looks like JSON", Examples.utf8("{\"promptId\":\"p\"}"));
    assertMessage(
        "this looks like Confluent framing", new byte[] {0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7});
    assertMessage("truncated: the value has 3 bytes", new byte[] {(byte) 0xC3, 1, 0});
    assertMessage("the value is null (a tombstone)", null);
  }

  @Test
  void recognizesAFingerprintInBigEndianOrder() {
    byte[] bytes = prompts.encode(Examples.prompt());
    String header = HexFormat.of().withUpperCase().formatHex(bytes, 0, 10);
    ByteBuffer.wrap(bytes).putLong(2, SingleObject.fingerprint(Prompt.getClassSchema()));
    assertMessage(
        "its bytes are in big-endian order; records of this build begin with " + header, bytes);
    bytes[2]++;
    WireFormatException e = assertThrows(WireFormatException.class, () -> prompts.decode(bytes));
    assertFalse(e.getMessage().contains("big-endian"), e.getMessage());
    assertTrue(e.getMessage().contains(header), e.getMessage());
  }

  @Test
  void namesThePlaceOfDamage() {
    byte[] bytes = prompts.encode(Examples.prompt());
    assertMessage("damaged at time", Arrays.copyOf(bytes, bytes.length - 1));
    assertMessage("1 bytes are left over", Arrays.copyOf(bytes, bytes.length + 1));
    // A string length of 1.9 billion bytes must be an error before any allocation.
    ByteBuffer hostile = ByteBuffer.allocate(30).put(bytes, 0, 10);
    hostile.put(HexFormat.of().parseHex("80a8d6b90e"));
    assertMessage("damaged at promptId: truncated", hostile.array());
  }

  /** Avro replaces what is not UTF-8 by U+FFFD: two ids could become one. */
  @Test
  void stringsAreUtf8() {
    Prompt prompt = Examples.prompt();
    prompt.setPromptId("caf\u00e9");
    byte[] bytes = prompts.encode(prompt);
    assertEquals(prompt, prompts.decode(bytes));
    // The bytes after the header and the length: c a f, and the first of two of e-acute.
    bytes[15] = (byte) 'e';
    assertMessage("damaged at promptId: a string is not UTF-8", bytes);
  }

  @Test
  void damagedBytesThrowOnlyAWireFormatException() {
    Random random = new Random(20260731);
    SingleObject<Rollout> format = SingleObject.of(Rollout.class);
    byte[] valid = format.encode(Examples.rollout());
    int refused = 0;
    for (int round = 0; round < 20_000; round++) {
      byte[] bytes;
      if (round % 2 == 0) {
        bytes = valid.clone();
        for (int flips = 1 + random.nextInt(4); flips > 0; flips--) {
          bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
        }
        bytes = Arrays.copyOf(bytes, bytes.length - random.nextInt(3));
      } else {
        bytes = new byte[10 + random.nextInt(200)];
        random.nextBytes(bytes);
        System.arraycopy(valid, 0, bytes, 0, 10);
      }
      try {
        format.decode(bytes);
      } catch (WireFormatException e) {
        refused++;
      }
    }
    assertTrue(refused > 15_000, "only " + refused + " of 20,000 values were refused");
  }

  private void assertMessage(String part, byte[] bytes) {
    WireFormatException e = assertThrows(WireFormatException.class, () -> prompts.decode(bytes));
    assertTrue(e.getMessage().contains(part), e.getMessage());
  }

  private static Schema edited(String text, String replacement) {
    String schema = Prompt.getClassSchema().toString();
    assertTrue(schema.contains(text), schema);
    return new Schema.Parser().parse(schema.replace(text, replacement));
  }

  private static GenericData.Record generic(Schema schema) {
    Schema turn = schema.getField("dialogue").schema().getElementType();
    GenericData.Record user = new GenericData.Record(turn);
    user.put("role", new GenericData.EnumSymbol(turn.getField("role").schema(), "USER"));
    user.put("content", "Hi");
    GenericData.Record record = new GenericData.Record(schema);
    record.put("promptId", "old");
    record.put("dialogue", List.of(user));
    record.put("source", "");
    record.put("time", 0L);
    if (schema.getField("isSafety") != null) {
      record.put("isSafety", false);
    }
    return record;
  }

  private static byte[] encode(Schema schema, GenericData.Record record) throws IOException {
    ByteBuffer bytes = new BinaryMessageEncoder<>(new GenericData(), schema).encode(record);
    byte[] array = new byte[bytes.remaining()];
    bytes.get(array);
    return array;
  }
}

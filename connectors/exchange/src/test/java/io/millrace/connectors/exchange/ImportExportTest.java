package io.millrace.connectors.exchange;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.exchange.export.Compression;
import io.millrace.connectors.exchange.export.Export;
import io.millrace.connectors.exchange.export.LineFile;
import io.millrace.connectors.exchange.export.Shape;
import io.millrace.connectors.exchange.file.Bounds;
import io.millrace.connectors.exchange.format.Settings;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Label;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Validation;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.WithdrawnBy;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Files to topics, topics to files. */
class ImportExportTest {
  private static final Instant MAY = Instant.parse("2025-05-01T00:00:00Z");
  private static final List<Turn> DIALOGUE = List.of(new Turn(Role.USER, "Which river?"));

  @TempDir static Path brokerDirectory;
  private static EmbeddedBroker broker;
  private static int prefixes;

  @TempDir Path directory;
  private KafkaSettings kafka;

  @BeforeAll
  static void start() throws IOException {
    broker = EmbeddedBroker.start(brokerDirectory, 0);
  }

  @AfterAll
  static void stop() throws IOException {
    broker.close();
  }

  @BeforeEach
  void createTopics() throws IOException {
    kafka = freshTopics();
  }

  private static KafkaSettings freshTopics() throws IOException {
    KafkaSettings settings =
        new KafkaSettings(broker.bootstrapServers(), "x" + ++prefixes + ".", Map.of());
    try (TopicAdmin admin = new TopicAdmin(settings)) {
      admin.createAll(2, 1);
    }
    return settings;
  }

  /** Sends records, up to a number. */
  private static final class Sender implements Import.Receiver {
    private final RecordWriter writer;
    private final List<Refusal> refusals = new ArrayList<>();
    private int left;

    Sender(RecordWriter writer, int most) {
      this.writer = writer;
      this.left = most;
    }

    @Override
    public <T extends SpecificRecordBase> void accept(Topic<T> topic, T record) throws IOException {
      if (left-- == 0) {
        throw new IOException("interrupted");
      }
      writer.send(topic, record);
    }

    @Override
    public void refused(Refusal refusal) {
      refusals.add(refusal);
    }
  }

  private ImportReport send(Path file) throws IOException {
    return send(kafka, file, Integer.MAX_VALUE);
  }

  private static ImportReport send(KafkaSettings kafka, Path file, int most) throws IOException {
    Import run =
        new Import(
            Optional.empty(),
            Settings.at(CollectedRecords.NOW).with(Objective.HELPFULNESS),
            Bounds.DEFAULT);
    try (RecordWriter writer = new RecordWriter(kafka)) {
      run.run(file, new Sender(writer, most));
    }
    return run.report();
  }

  private static <T extends SpecificRecordBase> List<T> topic(KafkaSettings kafka, Topic<T> topic)
      throws IOException {
    List<T> records = new ArrayList<>();
    try (RecordReader<T> reader = RecordReader.fromEarliest(kafka, topic)) {
      reader.readToEnd(entry -> records.add(entry.record().orElseThrow()));
    }
    return records;
  }

  /** Ids and records: partitions have no common order. */
  private static <T extends SpecificRecordBase> Map<String, T> byId(
      KafkaSettings kafka, Topic<T> topic) throws IOException {
    Map<String, T> records = new TreeMap<>();
    topic(kafka, topic).forEach(record -> records.put(topic.keyOf(record), record));
    return records;
  }

  private Path file(String name, String text) throws IOException {
    return Files.writeString(directory.resolve(name), text.replace('\'', '"'));
  }

  @Test
  void aRecordOfEachFormatReachesItsTopic() throws IOException {
    Map<String, Topic<?>> files = new LinkedHashMap<>();
    files.put(
        "{'chosen':'\\n"
            + "\\n"
            + "Human: a\\n"
            + "\\n"
            + "Assistant: b','rejected':'\\n"
            + "\\n"
            + "Human: a\\n"
            + "\\n"
            + "Assistant: c'}",
        Topic.JUDGMENTS);
    files.put("{'prompt':'p','chosen':'a','rejected':'b'}", Topic.JUDGMENTS);
    files.put(
        "{'chosen':[{'role':'user','content':'q'},{'role':'assistant','content':'a'}],"
            + "'rejected':[{'role':'user','content':'q'},{'role':'assistant','content':'b'}]}",
        Topic.JUDGMENTS);
    files.put(
        "{'instruction':'i','completions':[{'response':'a','overall_score':1},{'response':'b','overall_score':2}]}",
        Topic.JUDGMENTS);
    files.put(
        "{'prompt':'p','response_0':'a','response_1':'b','is_response_0_safe':true,'is_response_1_safe':true,'better_response_id':0}",
        Topic.JUDGMENTS);
    files.put(
        "{'prompt':'p','response_1':'a','response_2':'b','preference_strength':2}",
        Topic.JUDGMENTS);
    files.put(
        "[{'data':{'prompt':'p','answer1':'a','answer2':'b'},'annotations':[{'id':1,'result':[{'value':{'selected':'left'}}]}]}]",
        Topic.JUDGMENTS);
    files.put(
        "{'fields':{'prompt':'p','response1':'a','response2':'b'},'responses':{'best':[{'value':'response1'}]}}",
        Topic.JUDGMENTS);
    files.put(
        "{'messages':[{'role':'user','content':'a'},{'role':'assistant','content':'b'}]}",
        Topic.DEMONSTRATIONS);
    files.put(
        "{'conversations':[{'from':'human','value':'a'},{'from':'gpt','value':'b'}]}",
        Topic.DEMONSTRATIONS);
    files.put("[{'instruction':'i','input':'','output':'o'}]", Topic.DEMONSTRATIONS);
    files.put("{'prompt':'p','completion':'c'}", Topic.DEMONSTRATIONS);
    files.put("{'text':'t'}", Topic.DEMONSTRATIONS);
    files.put("{'prompt':'p','response':'r','helpfulness':4}", Topic.FEEDBACK);
    files.put("{'prompt':'p','completion':'c','label':true}", Topic.FEEDBACK);
    files.put("prompt\nWhich river?\n", Topic.PROMPTS);
    files.put("{'prompt':'Another?'}", Topic.PROMPTS);
    Map<String, Long> expected = new TreeMap<>();
    for (Map.Entry<String, Topic<?>> each : files.entrySet()) {
      ImportReport report = send(file("data", each.getKey()));
      assertEquals(Map.of(each.getValue().name(), 1L), report.records(), each.getKey() + report);
      expected.merge(each.getValue().name(), 1L, Long::sum);
    }
    for (Topic<?> topic : Export.TOPICS) {
      List<? extends SpecificRecordBase> records = topic(kafka, topic);
      assertEquals(expected.getOrDefault(topic.name(), 0L), records.size(), topic.name());
      records.forEach(Validation::require);
      assertEquals(records.size(), byId(kafka, topic).size());
    }
  }

  @Test
  void anInterruptedImportIsRunAgain() throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 100; i++) {
      lines.append("{'prompt':'p%d','chosen':'a','rejected':'b'}\n".formatted(i));
    }
    Path file = file("data", lines.toString());
    assertThrows(IOException.class, () -> send(kafka, file, 60));
    assertEquals(60, topic(kafka, Topic.JUDGMENTS).size());
    send(file);
    assertEquals(160, topic(kafka, Topic.JUDGMENTS).size());
    // A job uses an id once, and an export writes it once.
    assertEquals(100, byId(kafka, Topic.JUDGMENTS).size());
    Map<String, Long> leftOut = export(kafka, Topic.JUDGMENTS, Shape.JSONL, "once").leftOut();
    assertEquals(Map.of("duplicate", 60L), leftOut);
  }

  @Test
  void aRecordThatIsTooLargeForKafkaIsRefused() throws IOException {
    Path file =
        file(
            "data",
            "{'prompt':'a'}\n{'prompt':'%s'}\n{'prompt':'b'}"
                .formatted("x".repeat(kafka.maxRecordBytes())));
    ImportReport report = send(file);
    assertEquals(Map.of("prompts", 2L), report.records());
    assertEquals(Map.of("too-large", 1L), report.refused());
  }

  private Export.Report export(KafkaSettings from, Topic<?> topic, Shape shape, String name)
      throws IOException {
    return export(from, topic, shape, name, Compression.NONE, Instant.EPOCH, Instant.MAX);
  }

  private Export.Report export(
      KafkaSettings settings,
      Topic<?> topic,
      Shape shape,
      String name,
      Compression compression,
      Instant from,
      Instant to)
      throws IOException {
    try (LineFile file = new LineFile(directory.resolve(name), compression, false)) {
      Export.Report report =
          new Export<>(settings, topic, shape, from, to)
              .run(
                  new Export.Receiver() {
                    @Override
                    public void line(String line) throws IOException {
                      file.add(line);
                    }

                    @Override
                    public void unreadable(int partition, long offset, String problem) {
                      problems.add(problem);
                    }
                  });
      file.finish();
      return report;
    }
  }

  private final List<String> problems = new ArrayList<>();

  private static Judgment judgment(String id, Instant time) {
    return Judgment.newBuilder()
        .setJudgmentId(id)
        .setObjective(Objective.SAFETY)
        .setDialogue(DIALOGUE)
        .setResponseA(
            JudgedResponse.newBuilder()
                .setText("None.\u2028\u001b[2J")
                .setRolloutId("p1/0")
                .setPolicyVersion(3L)
                .setUnsafe(true)
                .setTruncated(false)
                .build())
        .setResponseB(JudgedResponse.newBuilder().setText("The Elbe. \ud83d\ude00").build())
        .setPreferred(Preferred.B)
        .setRating(Rating.SIGNIFICANTLY_BETTER)
        .setAnnotator("a1")
        .setSource("own")
        .setTime(time)
        .setRevision(2)
        .build();
  }

  private static Feedback feedback(String id) {
    return Feedback.newBuilder()
        .setFeedbackId(id)
        .setDialogue(DIALOGUE)
        .setResponse(JudgedResponse.newBuilder().setText("The Elbe.").setPolicyVersion(4L).build())
        .setLabel(Label.DOWN)
        .setScore(0.25f)
        .setReason("too short")
        .setAnnotator("")
        .setSource("")
        .setTime(Instant.EPOCH)
        .build();
  }

  private static Demonstration demonstration(String id) {
    return Demonstration.newBuilder()
        .setId(id)
        .setDialogue(
            List.of(
                new Turn(Role.SYSTEM, "Be brief."),
                DIALOGUE.getFirst(),
                new Turn(Role.ASSISTANT, "The Elbe."),
                new Turn(Role.USER, "Else?"),
                new Turn(Role.ASSISTANT, "The Saale.")))
        .setSource("own")
        .setTime(MAY)
        .setFirstLearnedTurn(3)
        .setRevision(1)
        .build();
  }

  private static Rollout rollout(String id) {
    return Rollout.newBuilder()
        .setRolloutId(id + "/0")
        .setPromptId(id)
        .setDialogue(DIALOGUE)
        .setIsSafety(true)
        .setPromptTokens(List.of(1, 2))
        .setResponseTokens(List.of(3, 4))
        .setLogProbs(List.of(-0.5f, -0.25f))
        .setResponseText("The Elbe.")
        .setFinishReason(FinishReason.STOP)
        .setModel("policy")
        .setPolicyVersion(7)
        .setTemperature(1)
        .setSource("own")
        .setTime(MAY)
        .build();
  }

  private void sendExamples() throws IOException {
    try (RecordWriter writer = new RecordWriter(kafka)) {
      for (int i = 0; i < 3; i++) {
        writer.send(Topic.JUDGMENTS, judgment("j" + i, MAY.plusSeconds(86_400L * i)));
        writer.send(Topic.FEEDBACK, feedback("f" + i));
        writer.send(Topic.DEMONSTRATIONS, demonstration("d" + i));
        writer.send(
            Topic.PROMPTS,
            Prompt.newBuilder().setPromptId("p" + i).setDialogue(DIALOGUE).setTime(MAY).build());
        writer.send(Topic.ROLLOUTS, rollout("p" + i));
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void whatIsExportedAndImportedIsTheSame(Shape shape) throws IOException {
    sendExamples();
    KafkaSettings other = freshTopics();
    for (Topic<?> topic : Export.TOPICS) {
      if (shape == Shape.TRL && topic == Topic.ROLLOUTS) {
        continue; // TRL's columns have no tokens; see below.
      }
      Compression compression =
          Compression.values()[Export.TOPICS.indexOf(topic) % Compression.values().length];
      Export.Report report =
          export(kafka, topic, shape, topic.name(), compression, Instant.EPOCH, Instant.MAX);
      assertEquals(3, report.written(), topic.name() + report.leftOut());
      assertEquals(
          Map.of(topic.name(), 3L),
          send(other, directory.resolve(topic.name()), Integer.MAX_VALUE).records());
      assertEquals(byId(kafka, topic), byId(other, topic));
    }
  }

  @Test
  void rolloutsInTrlsFormAreDemonstrations() throws IOException {
    sendExamples();
    export(kafka, Topic.ROLLOUTS, Shape.TRL, "rollouts");
    KafkaSettings other = freshTopics();
    send(other, directory.resolve("rollouts"), Integer.MAX_VALUE);
    // Three rollouts of the same content are one demonstration.
    assertEquals(3, topic(other, Topic.DEMONSTRATIONS).size());
    assertEquals(1, byId(other, Topic.DEMONSTRATIONS).size());
  }

  @Test
  void scoresWithoutLabelHaveNoTrlForm() throws IOException {
    Feedback score = feedback("s");
    score.setLabel(null);
    try (RecordWriter writer = new RecordWriter(kafka)) {
      writer.send(Topic.FEEDBACK, feedback("f"));
      writer.send(Topic.FEEDBACK, score);
    }
    assertEquals(Map.of("no-label", 1L), export(kafka, Topic.FEEDBACK, Shape.TRL, "trl").leftOut());
    assertEquals(2, export(kafka, Topic.FEEDBACK, Shape.JSONL, "jsonl").written());
  }

  @Test
  void withdrawnRevisedAndUnusableRecordsAreLeftOut() throws IOException {
    sendExamples();
    Judgment revised = judgment("j0", MAY);
    revised.setRevision(3);
    Judgment late = judgment("late", MAY.plusSeconds(10));
    late.setAnnotator("a2");
    Judgment invalid = judgment("invalid", MAY);
    invalid.setDialogue(List.of());
    Judgment same = judgment("same", MAY);
    same.setResponseA(same.getResponseB());
    // Jobs refuse this revision, and go on with revision 3.
    Judgment badly = judgment("j0", MAY);
    badly.setRevision(4);
    badly.setDialogue(List.of());
    try (RecordWriter writer = new RecordWriter(kafka)) {
      writer.send(Topic.JUDGMENTS, revised);
      writer.send(Topic.JUDGMENTS, badly);
      writer.send(Topic.JUDGMENTS, late);
      writer.send(Topic.JUDGMENTS, judgment("gone", MAY));
      writer.send(Topic.JUDGMENTS, invalid);
      writer.send(Topic.JUDGMENTS, same);
      writer.sendRaw(Topic.JUDGMENTS, "bad".getBytes(StandardCharsets.UTF_8), new byte[] {1, 2});
      writer.sendRaw(Topic.JUDGMENTS, "gone".getBytes(StandardCharsets.UTF_8), null);
      writer.send(
          Topic.WITHDRAWALS,
          Withdrawal.newBuilder()
              .setWithdrawalId("w1")
              .setBy(WithdrawnBy.ID)
              .setName("j1")
              .build());
      writer.send(
          Topic.WITHDRAWALS,
          Withdrawal.newBuilder()
              .setWithdrawalId("w2")
              .setBy(WithdrawnBy.ANNOTATOR)
              .setName("a2")
              .build());
    }
    Export.Report report = export(kafka, Topic.JUDGMENTS, Shape.JSONL, "out");
    assertEquals(
        Map.of(
            "withdrawn", 3L, "revised", 1L, "invalid", 2L, "same-responses", 1L, "undecodable", 1L),
        report.leftOut());
    assertEquals(10, report.read());
    assertEquals(3, problems.size(), problems.toString());
    CollectedRecords read = CollectedRecords.of(directory.resolve("out"));
    assertEquals(
        Set.of(revised, judgment("j2", MAY.plusSeconds(2 * 86_400))), new HashSet<>(read.records));
  }

  @Test
  void recordsOfATimeRange() throws IOException {
    sendExamples();
    Export.Report report =
        export(
            kafka,
            Topic.JUDGMENTS,
            Shape.JSONL,
            "range",
            Compression.NONE,
            MAY.plusSeconds(86_400),
            MAY.plusSeconds(2 * 86_400));
    assertEquals(1, report.written());
    assertEquals(Map.of("other-time", 2L), report.leftOut());
    // A record of unknown time has Kafka's: it was written just now.
    assertEquals(
        3,
        export(kafka, Topic.FEEDBACK, Shape.JSONL, "feedback", Compression.NONE, MAY, Instant.MAX)
            .written());
    assertThrows(
        IllegalArgumentException.class,
        () -> new Export<>(kafka, Topic.JUDGMENTS, Shape.JSONL, MAY, MAY));
    assertThrows(
        IllegalArgumentException.class,
        () -> new Export<>(kafka, Topic.REWARDS, Shape.JSONL, Instant.EPOCH, MAY));
  }

  /** What is sent while the export runs is not in it, however long it takes. */
  @Test
  void anExportEndsWhereTheTopicEndedAtItsBeginning() throws IOException {
    sendExamples();
    List<String> lines = new ArrayList<>();
    try (RecordWriter writer = new RecordWriter(kafka)) {
      Export.Report report =
          new Export<>(kafka, Topic.JUDGMENTS, Shape.JSONL, Instant.EPOCH, Instant.MAX)
              .run(
                  new Export.Receiver() {
                    @Override
                    public void line(String line) throws IOException {
                      lines.add(line);
                      writer.send(Topic.JUDGMENTS, judgment("new" + lines.size(), MAY));
                      writer.flush();
                    }

                    @Override
                    public void unreadable(int partition, long offset, String problem) {
                      problems.add(problem);
                    }
                  });
      assertEquals(3, report.read());
    }
    assertEquals(3, lines.size());
    assertEquals(6, topic(kafka, Topic.JUDGMENTS).size());
    assertTrue(lines.stream().noneMatch(line -> line.contains("\"new")), lines.toString());
  }

  @Test
  void anExistingFileStaysAndAnIncompleteOneDoesNotAppear() throws IOException {
    Path file = Files.writeString(directory.resolve("file"), "mine");
    assertThrows(
        FileAlreadyExistsException.class, () -> new LineFile(file, Compression.NONE, false));
    try (LineFile lines = new LineFile(file, Compression.GZIP, true)) {
      lines.add("x");
    }
    assertEquals("mine", Files.readString(file));
    try (var left = Files.list(directory)) {
      assertEquals(List.of(file), left.toList());
    }
    try (LineFile lines = new LineFile(file, Compression.NONE, true)) {
      lines.add("yours");
      lines.finish();
    }
    assertEquals("yours\n", Files.readString(file));
  }
}

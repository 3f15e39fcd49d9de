package io.millrace.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.connectors.registry.WireSettings;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Label;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Validation;
import io.millrace.serve.feedback.RecordSettings;
import io.millrace.serve.follow.ModelSource;
import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is served, and what people say of it, in the topics. */
class FeedbackTest {

  private static final String CHAT = "/v1/chat/completions";
  private static final String FEEDBACK = "/v1/feedback";

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;
  private static KafkaSettings kafka;
  private static RunningServer server;

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("broker"), 0);
    kafka = new KafkaSettings(broker.bootstrapServers(), "millrace.", Map.of());
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(2, 1);
    }
    TinyPolicy.write(directory.resolve("v"), 3);
    server = start("1", 1, false);
  }

  @AfterAll
  static void stop() throws Exception {
    server.close();
    broker.close();
  }

  private static RunningServer start(String instance, double share, boolean optIn)
      throws Exception {
    return start(kafka, instance, share, optIn);
  }

  private static RunningServer start(
      KafkaSettings kafka, String instance, double share, boolean optIn) throws Exception {
    ServeSettings base =
        RunningServer.settings(
            directory, Map.of("policy", new ModelSource.Fixed(directory.resolve("v").toString())));
    RunningServer started =
        RunningServer.start(
            new ServeSettings(
                base.http(),
                base.lane(),
                base.models(),
                base.aliases(),
                kafka,
                base.cache(),
                base.copies(),
                base.roots(),
                Optional.of(
                    new RecordSettings(
                        kafka,
                        share,
                        optIn,
                        "serve",
                        instance,
                        Duration.ofDays(1),
                        Duration.ofSeconds(20)))));
    await("the topics", () -> started.get("/ready").statusCode() == 200);
    return started;
  }

  private static void await(String what, Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!condition.call()) {
      assertTrue(System.nanoTime() < end, "waited in vain for " + what);
      TimeUnit.MILLISECONDS.sleep(20);
    }
  }

  private static <T extends SpecificRecordBase> List<T> records(Topic<T> topic, Predicate<T> wanted)
      throws IOException {
    List<T> records = new ArrayList<>();
    try (RecordReader<T> reader = RecordReader.fromEarliest(kafka, topic)) {
      reader.readToEnd(entry -> entry.record().filter(wanted).ifPresent(records::add));
    }
    return records;
  }

  private static String chat(String more) {
    return """
    {"model":"policy","max_tokens":30,"messages":[
      {"role":"system","content":"Be kind."},
      {"role":"user","content":"How do I bake bread?"}]%s}\
    """
        .formatted(more);
  }

  private static JsonNode completion(RunningServer from, String more) throws Exception {
    return from.ok(CHAT, chat(more));
  }

  @Test
  void responsesGoToRollouts() throws Exception {
    JsonNode body =
        completion(
            server,
            ",\"seed\":4,\"n\":2,\"temperature\":0.7,\"logprobs\":true,\"return_token_ids\":true");
    String id = body.path("id").asText();
    await(
        "two rollouts", () -> records(Topic.ROLLOUTS, r -> r.getPromptId().equals(id)).size() == 2);
    List<Rollout> rollouts = records(Topic.ROLLOUTS, r -> r.getPromptId().equals(id));
    for (Rollout rollout : rollouts) {
      assertEquals(List.of(), Validation.problems(rollout));
      int index = Integer.parseInt(rollout.getRolloutId().substring(id.length() + 1));
      JsonNode choice = body.path("choices").path(index);
      assertEquals(rollout.getRolloutId(), choice.path("id").asText());
      assertEquals(choice.path("message").path("content").asText(), rollout.getResponseText());
      assertEquals(3, rollout.getPolicyVersion());
      assertEquals("policy", rollout.getModel());
      assertEquals(0.7f, rollout.getTemperature());
      assertEquals(2, rollout.getDialogue().size());
      assertEquals(
          choice.path("token_ids").toString(),
          RunningServer.JSON.valueToTree(rollout.getResponseTokens()).toString());
      for (int i = 0; i < rollout.getLogProbs().size(); i++) {
        assertEquals(
            choice.path("logprobs").path("content").path(i).path("logprob").floatValue(),
            rollout.getLogProbs().get(i));
      }
      assertEquals(
          choice.path("finish_reason").asText().equals("stop"),
          rollout.getFinishReason() == FinishReason.STOP);
    }
  }

  @Test
  void aChoiceGoesToJudgments() throws Exception {
    HttpResponse<String> compared =
        server.post(CHAT, chat(",\"seed\":9"), r -> r.header("X-Millrace-Compare", "2"));
    JsonNode choices = RunningServer.JSON.readTree(compared.body()).path("choices");
    String a = choices.path(0).path("id").asText();
    String b = choices.path(1).path("id").asText();
    String body =
        """
        {"feedback_id":"choice-1","response_a":"%s","response_b":"%s","preferred":"b",
         "rating":"slightly_better","objective":"safety","unsafe_a":true,"unsafe_b":false,
         "annotator":"ada"}\
        """
            .formatted(a, b);
    JsonNode stored = server.ok(FEEDBACK, body);
    assertEquals("stored", stored.path("status").asText());
    assertEquals("judgments", stored.path("topics").path(0).asText());
    for (int i = 0; i < 3; i++) {
      assertEquals("known", server.ok(FEEDBACK, body).path("status").asText());
    }
    assertEquals(
        "conflict",
        server.refused(409, FEEDBACK, body.replace("slightly_", "")).path("code").asText());
    List<Judgment> judgments =
        records(Topic.JUDGMENTS, j -> j.getJudgmentId().equals("serve/choice-1"));
    assertEquals(1, judgments.size());
    Judgment judgment = judgments.getFirst();
    assertEquals(Preferred.B, judgment.getPreferred());
    assertEquals(Rating.SLIGHTLY_BETTER, judgment.getRating());
    assertEquals(a, judgment.getResponseA().getRolloutId());
    assertEquals(3L, judgment.getResponseB().getPolicyVersion());
    assertTrue(judgment.getResponseA().getUnsafe());
    assertEquals("ada", judgment.getAnnotator());
    assertEquals("serve", judgment.getSource());

    String revised = body.replace("\"preferred\":\"b\"", "\"preferred\":\"a\",\"revision\":1");
    assertEquals("stored", server.ok(FEEDBACK, revised).path("status").asText());
    assertEquals("known", server.ok(FEEDBACK, revised).path("status").asText());
    server.refused(409, FEEDBACK, body);
    assertEquals(
        2, records(Topic.JUDGMENTS, j -> j.getJudgmentId().equals("serve/choice-1")).size());
  }

  @Test
  void labelsAndCorrectionsAreStoredTogether() throws Exception {
    String id = completion(server, "").path("id").asText();
    JsonNode stored =
        server.ok(
            FEEDBACK,
            """
            {"feedback_id":"both","completion":"%s","label":"down","score":0.25,"unsafe":false,
             "reason":"too short","correction":"Mix flour and water."}\
            """
                .formatted(id));
    assertEquals(2, stored.path("topics").size());
    Feedback feedback =
        records(Topic.FEEDBACK, f -> f.getFeedbackId().equals("serve/both")).getFirst();
    assertEquals(Label.DOWN, feedback.getLabel());
    assertEquals(0.25f, feedback.getScore());
    assertEquals(id + "/0", feedback.getResponse().getRolloutId());
    assertEquals("too short", feedback.getReason());
    Demonstration demonstration =
        records(Topic.DEMONSTRATIONS, d -> d.getId().equals("serve/both")).getFirst();
    assertEquals("Mix flour and water.", demonstration.getDialogue().getLast().getContent());
    assertEquals(2, demonstration.getFirstLearnedTurn());
    assertEquals(List.of(), Validation.problems(demonstration));

    JsonNode alone =
        server.ok(FEEDBACK, "{\"completion\":\"%s\",\"correction\":\"Better.\"}".formatted(id));
    assertEquals("[\"demonstrations\"]", alone.path("topics").toString());
    assertTrue(alone.path("feedback_id").asText().startsWith("fb-"));
  }

  @Test
  void wrongFeedbackIsNamed() throws Exception {
    String id = completion(server, "").path("id").asText();
    for (String[] wrong :
        new String[][] {
          {"{}", "completion"},
          {"{\"completion\":5}", "completion"},
          {"{\"completion\":\"%s\",\"label\":\"great\"}", "label"},
          {"{\"completion\":\"%s\",\"score\":7}", "score"},
          {"{\"completion\":\"%s\",\"correction\":\" \"}", "correction"},
          {"{\"completion\":\"%s\",\"label\":\"up\",\"feedback_id\":\"\"}", "feedback_id"},
          {"{\"completion\":\"%s\",\"label\":\"up\",\"revision\":-1}", "revision"},
          {"{\"response_a\":\"%s\"}", "response_b"},
          {"{\"response_a\":\"%s\",\"response_b\":\"%s\"}", "response_b"},
        }) {
      JsonNode error = server.refused(400, FEEDBACK, wrong[0].replace("%s", id));
      assertEquals(wrong[1], error.path("param").asText(), error.toString());
    }
    assertEquals(
        "invalid_feedback",
        server
            .refused(400, FEEDBACK, "{\"completion\":\"%s\"}".formatted(id))
            .path("code")
            .asText());
    for (String unknown : List.of("nothing", "chatcmpl-0198aaaaaaaa" + "0".repeat(20), id + "/7")) {
      assertEquals(
          "completion_not_found",
          server
              .refused(404, FEEDBACK, "{\"completion\":\"%s\",\"label\":\"up\"}".formatted(unknown))
              .path("code")
              .asText());
    }
    String other = server.ok(CHAT, chat("").replace("bread", "cake")).path("id").asText();
    assertEquals(
        "response_b",
        server
            .refused(
                400,
                FEEDBACK,
                """
                {"response_a":"%s","response_b":"%s","preferred":"a","rating":"better"}\
                """
                    .formatted(id, other))
            .path("param")
            .asText());
  }

  @Test
  void theSameFeedbackAtOnceIsStoredOnce() throws Exception {
    String id = completion(server, "").path("id").asText();
    String body = "{\"feedback_id\":\"rush-%d\",\"completion\":\"" + id + "\",\"label\":\"up\"}";
    int stored = 0;
    try (ExecutorService clients = Executors.newFixedThreadPool(16)) {
      List<Future<JsonNode>> answers = new ArrayList<>();
      for (int i = 0; i < 96; i++) {
        int number = i % 8;
        answers.add(clients.submit(() -> server.ok(FEEDBACK, body.formatted(number))));
      }
      for (Future<JsonNode> answer : answers) {
        stored += answer.get().path("status").asText().equals("stored") ? 1 : 0;
      }
    }
    assertEquals(8, stored);
    assertEquals(
        8, records(Topic.FEEDBACK, f -> f.getFeedbackId().startsWith("serve/rush-")).size());
  }

  @Test
  void anotherServerKnowsResponsesAndFeedback() throws Exception {
    JsonNode served = completion(server, ",\"seed\":77");
    String id = served.path("id").asText();
    await("the rollout", () -> !records(Topic.ROLLOUTS, r -> r.getPromptId().equals(id)).isEmpty());
    String body =
        "{\"feedback_id\":\"moved\",\"completion\":\"%s\",\"label\":\"up\"}".formatted(id);
    assertEquals("stored", server.ok(FEEDBACK, body).path("status").asText());
    try (RunningServer other = start("2", 1, false)) {
      assertEquals("known", other.ok(FEEDBACK, body).path("status").asText());
      other.refused(409, FEEDBACK, body.replace("up", "down"));
      assertEquals(
          "stored", other.ok(FEEDBACK, body.replace("moved", "moved-2")).path("status").asText());
    }
    Feedback again =
        records(Topic.FEEDBACK, f -> f.getFeedbackId().equals("serve/moved-2")).getFirst();
    assertEquals(
        served.path("choices").path(0).path("message").path("content").asText(),
        again.getResponse().getText());
    assertEquals(1, records(Topic.FEEDBACK, f -> f.getFeedbackId().equals("serve/moved")).size());
  }

  @Test
  void searchesForInventedResponsesDoNotHoldUpTheOthers() throws Exception {
    String id = completion(server, ",\"seed\":78").path("id").asText();
    await("the rollout", () -> !records(Topic.ROLLOUTS, r -> r.getPromptId().equals(id)).isEmpty());
    String body = "{\"completion\":\"%s\",\"label\":\"up\"}";
    try (RunningServer other = start("3", 1, false);
        ExecutorService clients = Executors.newFixedThreadPool(64)) {
      List<Future<Integer>> refused = new ArrayList<>();
      for (int i = 0; i < 60; i++) {
        long time = System.currentTimeMillis() - TimeUnit.HOURS.toMillis(i);
        String invented = "chatcmpl-%012x%020x".formatted(time, i);
        refused.add(
            clients.submit(() -> other.post(FEEDBACK, body.formatted(invented)).statusCode()));
      }
      Future<JsonNode> stored =
          clients.submit(() -> other.ok(FEEDBACK, body.formatted(id)).path("status"));
      assertEquals("stored", stored.get(30, TimeUnit.SECONDS).asText());
      for (Future<Integer> answer : refused) {
        // 503 when there was no time to look for it.
        assertTrue(List.of(404, 503).contains(answer.get(30, TimeUnit.SECONDS)));
      }
    }
  }

  @Test
  void consentAndShareDecideWhatIsRecorded() throws Exception {
    String unwanted = completion(server, ",\"store\":false").path("id").asText();
    String greedy = completion(server, ",\"temperature\":0").path("id").asText();
    server.refused(404, FEEDBACK, "{\"completion\":\"%s\",\"label\":\"up\"}".formatted(unwanted));
    server.ok(FEEDBACK, "{\"completion\":\"%s\",\"label\":\"up\"}".formatted(greedy));
    try (RunningServer other = start("3", 0, true)) {
      String silent = completion(other, "").path("id").asText();
      String allowed = completion(other, ",\"store\":true").path("id").asText();
      other.refused(404, FEEDBACK, "{\"completion\":\"%s\",\"label\":\"up\"}".formatted(silent));
      other.ok(FEEDBACK, "{\"completion\":\"%s\",\"label\":\"up\"}".formatted(allowed));
      assertEquals(1, other.metric("millrace_serve_unrecorded_total{reason=\"no_consent\"}"));
      assertEquals(1, other.metric("millrace_serve_unrecorded_total{reason=\"share\"}"));
      assertEquals(
          List.of(),
          records(
              Topic.ROLLOUTS,
              r -> List.of(silent, allowed, unwanted, greedy).contains(r.getPromptId())));
    }
  }

  @Test
  void recordsHaveTheFormatsOfTheSettings() throws Exception {
    WireSettings json =
        WireSettings.of("", Map.of(), Map.of("rollouts", "json", "feedback", "json"));
    try (RunningServer other = start(kafka.with(json), "4", 1, false)) {
      String id = completion(other, "").path("id").asText();
      String body = "{\"feedback_id\":\"json\",\"completion\":\"%s\",\"label\":\"up\"}";
      assertEquals("stored", other.ok(FEEDBACK, body.formatted(id)).path("status").asText());
      assertEquals("known", other.ok(FEEDBACK, body.formatted(id)).path("status").asText());
      await(
          "the rollout", () -> !records(Topic.ROLLOUTS, r -> r.getPromptId().equals(id)).isEmpty());
      assertEquals('{', firstByte(Topic.ROLLOUTS, r -> r.getPromptId().equals(id)));
      assertEquals('{', firstByte(Topic.FEEDBACK, f -> f.getFeedbackId().equals("serve/json")));
    }
  }

  private static <T extends SpecificRecordBase> char firstByte(Topic<T> topic, Predicate<T> wanted)
      throws IOException {
    List<Character> found = new ArrayList<>();
    try (RecordReader<T> reader = RecordReader.fromEarliest(kafka, topic)) {
      reader.readToEnd(
          entry ->
              entry.record().filter(wanted).ifPresent(_ -> found.add((char) entry.value()[0])));
    }
    assertEquals(1, found.size());
    return found.getFirst();
  }

  @Test
  void aServerThatDoesNotRecordTakesNoFeedback() throws Exception {
    try (RunningServer plain = RunningServer.of(directory, directory.resolve("v"))) {
      assertEquals(
          "not_recording",
          plain.refused(404, FEEDBACK, "{\"completion\":\"x\"}").path("code").asText());
    }
  }
}

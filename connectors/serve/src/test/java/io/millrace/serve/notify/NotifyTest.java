package io.millrace.serve.notify;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.model.checkpoint.CarriedFiles;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Weights;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Verdict;
import io.millrace.serve.TinyPolicy;
import io.millrace.serve.notify.NotifySettings.Endpoint;
import io.millrace.serve.notify.NotifySettings.Kind;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Engines load new versions. Each test has its own model name and endpoints. */
@Timeout(120)
class NotifyTest {

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;
  private static KafkaSettings kafka;
  private static RecordWriter writer;
  private static final Map<Long, String> DIGESTS = new HashMap<>();

  private final ConcurrentLinkedQueue<String> lines = new ConcurrentLinkedQueue<>();
  private String model;

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("broker"), 0);
    kafka = new KafkaSettings(broker.bootstrapServers(), "millrace.", Map.of());
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(1, 1);
    }
    writer = new RecordWriter(kafka);
    for (long version = 1; version <= 4; version++) {
      DIGESTS.put(version, TinyPolicy.write(path(version), version));
    }
    for (long version = 11; version <= 13; version++) {
      DIGESTS.put(version, adapter(version));
    }
  }

  private static String adapter(long version) {
    AdapterConfig adapter = new AdapterConfig(2, 4, List.of("q_proj", "v_proj"));
    try (Backend backend = Backends.openDefault();
        Tokenizer tokenizer = Tokenizer.load(path(1));
        CheckpointDirectory base = CheckpointDirectory.open(path(1))) {
      LlamaConfig config = base.config();
      try (var weights = Weights.initial(backend, adapter.parameters(config), version)) {
        return CheckpointDirectory.writeAdapter(
            path(version),
            config,
            adapter,
            ModelWeights.sources(weights),
            tokenizer::save,
            CarriedFiles.none(),
            CheckpointManifest.describing(CheckpointKind.POLICY, "policy", version)
                .base(
                    Optional.of(
                        new CheckpointManifest.Base(path(1).toString(), base.weightsDigest())))
                .build());
      }
    }
  }

  @AfterAll
  static void stop() throws Exception {
    writer.close();
    broker.close();
  }

  @BeforeEach
  void name(TestInfo test) {
    model = test.getTestMethod().orElseThrow().getName();
  }

  private static Path path(long version) {
    return directory.resolve("store").resolve("v" + version);
  }

  private void announce(long version) throws IOException {
    announce(version, DIGESTS.get(version));
  }

  private void announce(long version, String digest) throws IOException {
    writer.send(
        Topic.POLICY_CHECKPOINTS,
        PolicyCheckpoint.newBuilder()
            .setModel(model)
            .setVersion(version)
            .setUri(path(version).toString())
            .setManifestSha256(digest)
            .setIteration(0)
            .setStep(0)
            .setTime(Instant.EPOCH)
            .build());
    writer.flush();
  }

  private void promote(long version) throws IOException {
    writer.send(
        Topic.PROMOTIONS,
        Promotion.newBuilder()
            .setModel(model)
            .setVersion(version)
            .setVerdict(Verdict.PROMOTE)
            .setEvaluated(version)
            .setUri(path(version).toString())
            .setManifestSha256(DIGESTS.get(version))
            .setTime(Instant.EPOCH)
            .build());
    writer.flush();
  }

  private Path copies() {
    return directory.resolve("copies-" + model);
  }

  private Endpoint endpoint(String name, Kind kind, FakeEngine engine, String key) {
    return new Endpoint(model + "-" + name, kind, URI.create(engine.address()), key);
  }

  private Endpoint endpoint(Kind kind, FakeEngine engine) {
    return endpoint("a", kind, engine, "");
  }

  /** The link that the endpoint {@code a} is started with. */
  private Path link() {
    return copies().resolve("current-" + model + "-a");
  }

  private NotifySettings settings(boolean promotedOnly, Endpoint... endpoints) {
    return new NotifySettings(
        kafka,
        model,
        promotedOnly,
        uri -> uri.startsWith(directory.resolve("store").toString()),
        List.of(endpoints),
        copies(),
        Optional.empty(),
        Duration.ofMillis(300),
        Duration.ofSeconds(20),
        2,
        Duration.ofMillis(20),
        Duration.ofMillis(200));
  }

  private Notifications follow(Endpoint... endpoints) throws IOException {
    return Notifications.start(settings(false, endpoints), lines::add);
  }

  private void await(String what, Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!condition.call()) {
      assertTrue(System.nanoTime() < end, "waited in vain for " + what + "; " + lines);
      TimeUnit.MILLISECONDS.sleep(10);
    }
  }

  private boolean said(String text) {
    return lines.stream().anyMatch(line -> line.contains(text));
  }

  private void awaitAnswers(long version) throws Exception {
    await("v" + version, () -> said("answers with %s-v%d after".formatted(model, version)));
  }

  private static String load(Path files, String name, String call) {
    return "%s {\"lora_name\":\"%s\",\"lora_path\":\"%s\"}".formatted(call, name, files);
  }

  @Test
  void vllmReadsWholeWeightsAgainFromItsLink() throws Exception {
    try (FakeEngine engine = new FakeEngine(0).startedWith(link())) {
      announce(1);
      try (Notifications notifications = follow(endpoint(Kind.VLLM, engine))) {
        awaitAnswers(1);
        announce(2);
        awaitAnswers(2);
        notifications.awaitUpToDate();
        assertEquals(2, notifications.summaries().get(model + "-a").loaded());
      }
      assertEquals(2, engine.weights());
      List<String> once =
          List.of("/collective_rpc {\"method\":\"reload_weights\"}", "/reset_prefix_cache");
      assertEquals(List.of(once.get(0), once.get(1), once.get(0), once.get(1)), engine.calls());
      assertEquals(
          copies().resolve(model + "-v000002"),
          link().toRealPath(),
          "a link that the engine can read");
      assertFalse(Files.exists(copies().resolve(model + "-v000001")), "old copies are deleted");
    }
  }

  /** vLLM does not start without the path that it is given. */
  @Test
  void vllmFindsItsLinkBeforeItRuns() throws Exception {
    try (FakeEngine engine = new FakeEngine(0).startedWith(link())) {
      engine.goDown();
      announce(1);
      try (Notifications _ = follow(endpoint(Kind.VLLM, engine))) {
        await("the link", () -> Files.exists(link().resolve("millrace.json")));
        engine.comeUp();
        assertEquals(1, engine.weights());
        awaitAnswers(1);
      }
    }
  }

  @Test
  void vllmSleepsWhileWeightsChange() throws Exception {
    try (FakeEngine engine = new FakeEngine(0).startedWith(link())) {
      announce(1);
      try (Notifications _ = follow(endpoint(Kind.VLLM_SLEEP, engine))) {
        awaitAnswers(1);
      }
      assertEquals(1, engine.weights());
      assertEquals(
          List.of(
              "/sleep?level=2",
              "/wake_up?tags=weights",
              "/collective_rpc {\"method\":\"reload_weights\"}",
              "/wake_up?tags=kv_cache"),
          engine.calls());
    }
  }

  @Test
  void adaptersAreLoadedUnderTheNameOfTheirVersion() throws Exception {
    for (Kind kind : List.of(Kind.VLLM, Kind.SGLANG)) {
      model = "adapters-" + kind;
      lines.clear();
      String prefix = kind == Kind.VLLM ? "/v1" : "";
      try (FakeEngine engine = new FakeEngine(0)) {
        try (Notifications _ = follow(endpoint(kind, engine))) {
          for (long version = 11; version <= 13; version++) {
            announce(version);
            awaitAnswers(version);
          }
        }
        assertEquals(List.of(model + "-v12", model + "-v13"), engine.adapters());
        assertEquals(
            List.of(
                load(
                    copies().resolve(model + "-v000011"),
                    model + "-v11",
                    prefix + "/load_lora_adapter"),
                load(
                    copies().resolve(model + "-v000012"),
                    model + "-v12",
                    prefix + "/load_lora_adapter"),
                load(
                    copies().resolve(model + "-v000013"),
                    model + "-v13",
                    prefix + "/load_lora_adapter"),
                prefix + "/unload_lora_adapter {\"lora_name\":\"" + model + "-v11\"}"),
            engine.calls());
      }
    }
  }

  @Test
  void sglangUpdatesFromDiskAndNamesTheVersion() throws Exception {
    try (FakeEngine engine = new FakeEngine(0)) {
      announce(1);
      try (Notifications _ = follow(endpoint(Kind.SGLANG, engine))) {
        awaitAnswers(1);
      }
      assertEquals(
          List.of(
              ("/update_weights_from_disk {\"model_path\":\"%s\",\"weight_version\":\"%s-v1\","
                      + "\"flush_cache\":true}")
                  .formatted(copies().resolve(model + "-v000001"), model)),
          engine.calls());
    }
  }

  @Test
  void earlierReleasesOfSglangNameThePath() throws Exception {
    try (FakeEngine engine = new FakeEngine(0).withoutWeightVersion()) {
      announce(3);
      try (Notifications _ = follow(endpoint(Kind.SGLANG, engine))) {
        awaitAnswers(3);
      }
      assertEquals(3, engine.weights());
    }
  }

  /** Each version once: not again by a process that starts later. */
  @Test
  void aRestartRepeatsNothing() throws Exception {
    for (Kind kind : List.of(Kind.VLLM, Kind.SGLANG)) {
      model = "restart-" + kind;
      lines.clear();
      try (FakeEngine engine = new FakeEngine(0).startedWith(link())) {
        announce(1);
        announce(2);
        try (Notifications _ = follow(endpoint(kind, engine))) {
          awaitAnswers(2);
        }
        List<String> calls = engine.calls();
        assertTrue(said("answers with") && !said(model + "-v1 "), lines.toString());
        try (Notifications again = follow(endpoint(kind, engine))) {
          again.awaitUpToDate();
          // Longer than the time between two checks.
          TimeUnit.MILLISECONDS.sleep(400);
          assertEquals(calls, engine.calls());
          announce(3);
          awaitAnswers(3);
          assertEquals(1, again.summaries().get(model + "-a").loaded());
        }
        assertEquals(3, engine.weights());
      }
    }
  }

  /** One endpoint that is down holds up no other one. Versions that it missed are outdated. */
  @Test
  void anEndpointThatIsDownGetsTheNewestVersionWhenItIsBack() throws Exception {
    try (FakeEngine up = new FakeEngine(0);
        FakeEngine down = new FakeEngine(0)) {
      down.goDown();
      announce(1);
      try (Notifications notifications =
          follow(endpoint("a", Kind.SGLANG, up, ""), endpoint("b", Kind.SGLANG, down, ""))) {
        awaitAnswers(1);
        await("a line", () -> said("does not answer /get_model_info"));
        announce(2);
        await("a's version 2", () -> up.weights() == 2);
        announce(3);
        await("a's version 3", () -> up.weights() == 3);
        await(
            "outdated",
            () -> notifications.summaries().get(model + "-b").skipped().containsKey("outdated"));
        down.comeUp();
        await("b's version 3", () -> down.weights() == 3);
        notifications.awaitUpToDate();
        assertEquals(1, down.calls().size());
        assertEquals(
            new Notifications.Summary(1, Map.of("outdated", 2L)),
            notifications.summaries().get(model + "-b"));
        assertFalse(notifications.summaries().get(model + "-b").hasProblems());
      }
    }
  }

  @Test
  void failuresAreTriedAgainAndAnEngineMayTakeItsTime() throws Exception {
    try (FakeEngine engine = new FakeEngine(0).startedWith(link())) {
      engine.fail(2);
      engine.slow(350);
      announce(1);
      try (Notifications notifications = follow(endpoint(Kind.VLLM, engine))) {
        awaitAnswers(1);
        assertEquals(Map.of(), notifications.summaries().get(model + "-a").skipped());
      }
      assertTrue(
          said("status 500: {\"detail\":\"a worker failed\"}; trying again in"), lines.toString());
      assertEquals(1, engine.weights());
    }
  }

  @Test
  void aVersionThatDoesNotLoadIsSkippedAndTheOneBeforeComesBack() throws Exception {
    try (FakeEngine engine = new FakeEngine(0).startedWith(link())) {
      engine.refuse(2);
      announce(1);
      try (Notifications notifications = follow(endpoint(Kind.VLLM_SLEEP, engine))) {
        awaitAnswers(1);
        announce(2);
        await("a skip", () -> said("skipped " + model + "-v2"));
        assertTrue(said("has " + model + "-v1 again"), lines.toString());
        assertEquals(1, engine.weights());
        announce(3);
        awaitAnswers(3);
        assertEquals(
            new Notifications.Summary(2, Map.of("failed", 1L)),
            notifications.summaries().get(model + "-a"));
        assertTrue(notifications.summaries().get(model + "-a").hasProblems());
      }
    }
  }

  @Test
  void aVersionThatSglangRefusesIsSkippedAtOnce() throws Exception {
    try (FakeEngine engine = new FakeEngine(0)) {
      engine.refuse(2);
      announce(2);
      try (Notifications notifications = follow(endpoint(Kind.SGLANG, engine))) {
        await("a skip", () -> said("Failed to update weights"));
        notifications.awaitUpToDate();
        assertEquals(Map.of("refused", 1L), notifications.summaries().get(model + "-a").skipped());
        assertEquals(1, engine.calls().size());
      }
    }
  }

  @Test
  void filesThatAreNotWhatWasAnnouncedReachNoEngine() throws Exception {
    try (FakeEngine engine = new FakeEngine(0)) {
      announce(1, DIGESTS.get(2L));
      try (Notifications notifications = follow(endpoint(Kind.SGLANG, engine))) {
        await("a skip", () -> said("skipped " + model + "-v1"));
        notifications.awaitUpToDate();
        assertEquals(Map.of("unusable", 1L), notifications.summaries().get(model + "-a").skipped());
        announce(3);
        awaitAnswers(3);
      }
      assertEquals(1, engine.calls().size());
    }
  }

  @Test
  void promotedVersionsAreFollowedBackToo() throws Exception {
    try (FakeEngine engine = new FakeEngine(0)) {
      announce(4);
      promote(2);
      try (Notifications notifications =
          Notifications.start(settings(true, endpoint(Kind.SGLANG, engine)), lines::add)) {
        awaitAnswers(2);
        promote(3);
        awaitAnswers(3);
        promote(3);
        promote(2);
        await("version 2 again", () -> engine.weights() == 2);
        notifications.awaitUpToDate();
        assertEquals(3, engine.calls().size(), "the same verdict twice is one version");
      }
    }
  }

  /** An engine that was started again has other weights than it was given. */
  @Test
  void anEngineThatWasStartedAgainGetsItsVersionAgain() throws Exception {
    try (FakeEngine engine = new FakeEngine(0)) {
      announce(1);
      try (Notifications _ = follow(endpoint(Kind.SGLANG, engine))) {
        awaitAnswers(1);
        engine.goDown();
        await("a line", () -> said("does not answer"));
        engine.comeUp();
        await("version 1 again", () -> said("answers with " + model + "-v1 again"));
        assertEquals(1, engine.weights());
      }
    }
  }

  @Test
  void theKeyIsSentAndNeverShown() throws Exception {
    String secret = "s3cret-key";
    try (FakeEngine engine = new FakeEngine(0).requireKey(secret)) {
      announce(1);
      Endpoint wrong = endpoint("wrong", Kind.SGLANG, engine, secret + "x");
      Endpoint right = endpoint("right", Kind.SGLANG, engine, secret);
      try (Notifications notifications = follow(wrong, right)) {
        awaitAnswers(1);
        await("a refusal", () -> said("status 401"));
        notifications.awaitUpToDate();
        assertEquals(Map.of("refused", 1L), notifications.summaries().get(wrong.name()).skipped());
      }
      assertTrue(said("(notify.api-keys)"), lines.toString());
      assertFalse(said(secret), lines.toString());
      assertFalse(wrong.toString().contains(secret));
    }
  }

  @Test
  void addressesAreReadAndOthersRefused() {
    Endpoint read = Endpoint.parse("a", " vllm-sleep  https://gpu1:8000/v1/ ", "");
    assertEquals(new Endpoint("a", Kind.VLLM_SLEEP, URI.create("https://gpu1:8000"), ""), read);
    for (String bad :
        List.of(
            "tgi http://gpu1:8000",
            "vllm",
            "vllm gpu1:8000",
            "vllm http://user:pass@gpu1:8000",
            "vllm http://gpu1:8000/a?b",
            "vllm ftp://gpu1")) {
      String message =
          assertThrows(IllegalArgumentException.class, () -> Endpoint.parse("a", bad, ""))
              .getMessage();
      assertTrue(message.contains("notify.endpoints.a is"), message);
    }
    assertThrows(IllegalArgumentException.class, () -> Endpoint.parse("a/b", "vllm http://g", ""));
  }
}

package io.millrace.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.campaign.record.CampaignFile;
import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.campaign.record.StageRecord;
import io.millrace.campaign.record.StageResult;
import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.demo.loop.GoldScores;
import io.millrace.demo.loop.GoldScores.Example;
import io.millrace.demo.quickstart.QuickstartReport;
import io.millrace.demo.quickstart.SplitScores;
import io.millrace.demo.quickstart.SplitScores.Measured;
import io.millrace.report.chart.Drawing;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Reward;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.Verdict;
import io.millrace.schemas.wire.JsonLines;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Element;

/** A report shows the data of its run. */
class ReportTest {

  /** Markup, template code, and everything that could end an attribute or a tag. */
  private static final String HOSTILE =
      "<script>alert(1)</script><img src=x onerror=alert(2)> & &amp; \"'>"
          + " {{ 7 * 7 }} {% raw %} {# gone #}";

  @TempDir private Path directory;

  @Test
  void aCampaignsMetricsStandInItsCharts() throws Exception {
    writeCampaign();
    Drawing page = Drawing.of(Report.ofCampaign(directory).html());

    // Reward of the last version by k = 1, 2, 3: logits 0.5, 1.25, 2.
    Element best = drawn(page, "Best, median and mean of k samples, RLHF-V2");
    Drawing drawing = Drawing.of(text(best));
    Drawing.Scale y = drawing.scale(false);
    List<Double> drawn =
        drawing.all("circle").stream()
            .filter(dot -> dot.getTextContent().startsWith("max: "))
            .map(dot -> y.value(Drawing.number(dot, "cy")))
            .toList();
    assertEquals(3, drawn.size());
    assertEquals(0.5, drawn.get(0), y.of(0.1));
    assertEquals(1.25, drawn.get(1), y.of(0.1));
    assertEquals(2, drawn.get(2), y.of(0.1));

    // PPO's reward, from the stage's metrics.
    Drawing reward = Drawing.of(text(drawn(page, "Reward")));
    assertEquals(
        List.of("RLHF-V2: −0.5 at 1", "RLHF-V2: 0.25 at 2", "RLHF-V2: 1 at 3"),
        reward.all("circle").stream().map(Element::getTextContent).toList());

    // The best of three temperatures is the middle one.
    List<String> temperatures =
        Drawing.of(text(drawn(page, "Best reward by temperature"))).all("circle").stream()
            .map(Element::getTextContent)
            .filter(title -> title.startsWith("RLHF-V2"))
            .toList();
    assertEquals(
        List.of(
            "RLHF-V2, helpfulness: 0.7 at 0.8",
            "RLHF-V2, helpfulness: 0.9 at 1",
            "RLHF-V2, helpfulness: 0.6 at 1.2"),
        temperatures);

    // Gold reward with its interval.
    assertTrue(
        Drawing.of(text(drawn(page, "Gold reward by version"))).all("circle").stream()
            .map(Element::getTextContent)
            .anyMatch("helpfulness, harmless prompts: 0.9 at RLHF-V2 (0.88 to 0.92)"::equals));

    List<String> cells = page.all("td").stream().map(Element::getTextContent).toList();
    assertTrue(cells.contains("RLHF-V2"));
    assertTrue(cells.contains("file:///checkpoints/policy/v2"));
    assertTrue(cells.contains("KL is 41 nats, above 30"));
    assertTrue(cells.contains("0.900 ± 0.020"), cells.toString());
    // The responses are text.
    assertTrue(cells.contains(HOSTILE));
    assertTrue(page.all("script").isEmpty());
    assertTrue(page.all("img").isEmpty());
  }

  @Test
  void aCampaignWithoutStagesHasAPage() throws Exception {
    CampaignRecord record =
        new CampaignRecord(CampaignRecord.FORMAT, 3, Map.of(), List.of(), List.of());
    new ObjectMapper().writeValue(directory.resolve(CampaignFile.NAME).toFile(), record);
    Drawing page = Drawing.of(Report.ofCampaign(directory).html());
    assertEquals("Campaign", page.all("h1").getFirst().getTextContent());
  }

  @Test
  void aQuickstartsReportIsDrawn() throws Exception {
    Path file = directory.resolve("report.json");
    new ObjectMapper().writeValue(file.toFile(), quickstart());
    Report report = Report.ofQuickstart(file);
    Path ghost = directory.resolve("ghost.json");
    Files.writeString(
        ghost,
        """
        {"with": {"holds": [{"turn": 2, "dialogues": 8, "share": 0.75}], "attentionByLayer": [0.5]},
         "without": {"holds": [{"turn": 2, "dialogues": 8, "share": 0.125}], "attentionByLayer": [0.25]}}
        """);
    report.addGhostAttention(ghost);
    Drawing page = Drawing.of(report.html());
    assertEquals(
        List.of("PPO: −1.5 at 1", "PPO: 0.5 at 2"),
        Drawing.of(text(drawn(page, "Reward"))).all("circle").stream()
            .map(Element::getTextContent)
            .toList());
    assertTrue(
        page.all("circle").stream()
            .map(Element::getTextContent)
            .anyMatch("with: 75 % at 2"::equals));
    assertTrue(page.all("td").stream().map(Element::getTextContent).anyMatch(HOSTILE::equals));
    assertTrue(page.all("script").isEmpty());
    List<String> cells = page.all("td").stream().map(Element::getTextContent).toList();
    assertTrue(cells.contains("test tasks, version 51"), cells.toString());
    assertTrue(cells.contains("0.625 (0.575 to 0.675)"), cells.toString());
  }

  @Test
  void anOldReportHasNoChartOfMetricsThatItLacks() throws Exception {
    Path file = directory.resolve("report.json");
    String json =
        new ObjectMapper()
            .writeValueAsString(quickstart())
            .replaceAll(",\"(world|splits)\":.*", "}")
            .replaceAll(",\"(entropy|clip_fraction|response_tokens)\":null", "")
            .replaceAll(",\"gold_(helpfulness|safety)_error\":[0-9.]+", "");
    assertFalse(json.contains("_error") || json.contains("entropy"), json);
    Files.writeString(file, json);
    Drawing page = Drawing.of(Report.ofQuickstart(file).html());
    assertTrue(figures(page).stream().noneMatch("Entropy"::equals));
  }

  @Test
  void aFileThatIsNoReportIsNamed() throws Exception {
    Path file = directory.resolve("other.json");
    for (String content :
        List.of(
            "",
            "{}",
            "[]",
            "{\"policy\":3}",
            "null",
            "{\"with\": {}}",
            "{\"policy\":{},\"curve\":[]}")) {
      Files.writeString(file, content);
      IOException e = assertThrows(IOException.class, () -> Report.ofQuickstart(file), content);
      assertTrue(e.getMessage().contains("other.json"), e.getMessage());
      Path report = directory.resolve("report.json");
      new ObjectMapper().writeValue(report.toFile(), quickstart());
      Report good = Report.ofQuickstart(report);
      assertThrows(IOException.class, () -> good.addGhostAttention(file), content);
    }
    assertThrows(IOException.class, () -> Report.ofCampaign(directory.resolve("missing")));
  }

  @Test
  void theRecordsOfKafkaAreDrawn() throws Exception {
    try (EmbeddedBroker broker = EmbeddedBroker.start(directory.resolve("kafka"), 0)) {
      KafkaSettings kafka = KafkaSettings.of(broker.bootstrapServers());
      assertThrows(IOException.class, () -> Report.ofKafka(kafka), "no topics yet");
      try (TopicAdmin admin = new TopicAdmin(kafka)) {
        admin.createAll(1, 1);
      }
      try (RecordWriter writer = new RecordWriter(kafka)) {
        for (TrainingMetrics metrics : ppoMetrics()) {
          writer.send(Topic.TRAINING_METRICS, metrics);
        }
        writer.send(Topic.TRAINING_METRICS, metrics("ppo", 1, Map.of("objective/scores", 3.0)));
        writer.send(
            Topic.POLICY_CHECKPOINTS,
            PolicyCheckpoint.newBuilder()
                .setModel("policy")
                .setVersion(7)
                .setUri("file:///checkpoints/policy/v7")
                .setManifestSha256("0123456789abcdef")
                .setIteration(3)
                .setStep(9)
                .setRollouts(384)
                .build());
        writer.send(
            Topic.REWARD_CHECKPOINTS,
            RewardCheckpoint.newBuilder()
                .setObjective(Objective.SAFETY)
                .setVersion(2)
                .setUri("file:///checkpoints/reward-model-safety/v2")
                .setManifestSha256("0123456789abcdef")
                .setJudgments(100)
                .setMetrics(Map.of("accuracy/all", 0.75, "accuracy/BETTER", 0.875))
                .build());
        for (int i = 0; i < 40; i++) {
          writer.send(Topic.REWARDS, reward(i, i < 20 ? 3 : 7));
        }
        writer.send(Topic.PROMOTIONS, promotion());
        for (int i = 0; i < 3; i++) {
          writer.send(Topic.DEAD_LETTERS, deadLetter(i, i == 0 ? "too-long" : "invalid"));
        }
      }
      Drawing page = Drawing.of(Report.ofKafka(kafka).html());
      List<String> points =
          Drawing.of(text(drawn(page, "Reward"))).all("circle").stream()
              .map(Element::getTextContent)
              .toList();
      // A second run of the job has its own line.
      assertEquals(
          List.of("PPO: −0.5 at 1", "PPO: 0.25 at 2", "PPO: 1 at 3", "PPO, run 2: 3 at 1"), points);
      assertEquals(
          List.of("records, invalid: 2", "records, too-long: 1"),
          Drawing.of(text(drawn(page, "Dead letters by reason"))).all("rect").stream()
              .map(Element::getTextContent)
              .toList());
      // Half of version 3's rollouts have a safety score of −1, all of version 7's one of 2.
      assertEquals(
          List.of("v3: 2 at −0.875", "v3: 2 at 0.125", "v7: 4 at 2.13"),
          Drawing.of(text(drawn(page, "Safety scores"))).all("circle").stream()
              .map(Element::getTextContent)
              .filter(point -> !point.contains(": 0 at"))
              .toList());
      List<String> cells = page.all("td").stream().map(Element::getTextContent).toList();
      assertTrue(cells.contains("file:///checkpoints/policy/v7"));
      assertTrue(cells.contains("hold"));
      assertTrue(cells.contains(HOSTILE));
      assertTrue(page.all("script").isEmpty());
      assertTrue(Report.ofKafka(kafka).html().contains("gate&#39;s last verdict"));

      try (RecordWriter writer = new RecordWriter(kafka)) {
        writer.send(
            Topic.PROMOTIONS,
            Promotion.newBuilder(promotion())
                .setVerdict(Verdict.PROMOTE)
                .setDecisionId("d1")
                .setDecidedBy("ann")
                .build());
      }
      String decided = Report.ofKafka(kafka).html();
      assertTrue(decided.contains("decided by ann"), decided);
      assertFalse(decided.contains("gate&#39;s last verdict"));
    }
  }

  @Test
  void aBrowserDrawsThePage() throws Exception {
    Path chromium =
        Stream.of("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
            .map(Path::of)
            .filter(Files::isExecutable)
            .findFirst()
            .orElse(null);
    assumeTrue(chromium != null, "Chromium is not installed; on Debian: apt-get install chromium");
    writeCampaign();
    Path page = Files.writeString(directory.resolve("r.html"), Report.ofCampaign(directory).html());
    Path picture = directory.resolve("r.png");
    Process process =
        new ProcessBuilder(
                chromium.toString(),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--user-data-dir=" + directory.resolve("chromium"),
                "--screenshot=" + picture,
                "--window-size=1000,3000",
                page.toUri().toString())
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve("chromium.log").toFile())
            .start();
    assertTrue(process.waitFor(90, TimeUnit.SECONDS), "Chromium did not end");
    assertEquals(0, process.exitValue(), Files.readString(directory.resolve("chromium.log")));
    // A blank page of this size is a few kilobytes.
    assertTrue(Files.size(picture) > 30_000, "the picture is blank: " + Files.size(picture));
  }

  private static List<String> figures(Drawing page) {
    return page.all("figcaption").stream().map(Element::getTextContent).toList();
  }

  private static Element drawn(Drawing page, String title) {
    return page.all("svg").stream()
        .filter(svg -> svg.getAttribute("aria-label").equals(title))
        .findFirst()
        .orElseThrow(() -> new AssertionError(title + " is not among " + figures(page)));
  }

  /** The markup of an element. */
  private static String text(Element element) throws Exception {
    var transformer = javax.xml.transform.TransformerFactory.newInstance().newTransformer();
    var writer = new java.io.StringWriter();
    transformer.transform(
        new javax.xml.transform.dom.DOMSource(element),
        new javax.xml.transform.stream.StreamResult(writer));
    return writer.toString();
  }

  private void writeCampaign() throws IOException {
    List<StageRecord> stages = new ArrayList<>();
    for (int version = 0; version <= 2; version++) {
      Map<String, Double> gold = new TreeMap<>();
      gold.put("gold/helpfulness", 0.5 + 0.2 * version);
      gold.put("gold/helpfulness-error", 0.02 / 1.96);
      gold.put("gold/safety", 0.3 * version);
      gold.put("gold/safety-error", 0.01);
      gold.put("gold/unsafe-compliance", 0.5 / (version + 1));
      stages.add(
          stage(version, "gold", StageResult.builder().metrics("", gold).examples(examples())));
      if (version > 0) {
        stages.add(
            stage(
                version,
                "reward-models",
                StageResult.builder().metrics("", rewardModels(version))));
        stages.add(
            stage(
                version,
                "rejection-sampling",
                StageResult.builder().metrics("", rejection()).checkpoint(policy(version))));
      }
    }
    stages.add(
        stage(
            2, "ppo", StageResult.builder().metric("ppo/objective/kl", 3.0).checkpoint(policy(2))));
    CampaignRecord record =
        new CampaignRecord(CampaignRecord.FORMAT, 1, Map.of(), List.of(), stages);
    new ObjectMapper().writeValue(directory.resolve(CampaignFile.NAME).toFile(), record);
    Path metrics = CampaignFile.metrics(directory, "v2-ppo");
    Files.createDirectories(metrics.getParent());
    Files.write(metrics, ppoMetrics().stream().map(JsonLines::write).toList());
    Files.writeString(
        directory.resolve(CampaignFile.PROMOTIONS), JsonLines.write(promotion()) + "\n");
  }

  private static List<Example> examples() {
    return List.of(new Example(HOSTILE, "& so on"), new Example("How?", HOSTILE));
  }

  private static CheckpointRef policy(int version) {
    return new CheckpointRef(
        CheckpointRef.POLICY,
        "policy",
        version,
        "file:///checkpoints/policy/v" + version,
        "0123456789abcdef");
  }

  private static StageRecord stage(int version, String name, StageResult.Builder result) {
    return StageRecord.begun(
            "v" + version + "-" + name, version, name, "2026-01-02T03:04:05Z", Map.of())
        .done("2026-01-02T03:04:06Z", 1.0, result.build());
  }

  private static Map<String, Double> rewardModels(int version) {
    Map<String, Double> metrics = new TreeMap<>();
    for (String objective : List.of("helpfulness", "safety")) {
      String prefix = "reward-model/" + objective + "/";
      metrics.put(prefix + "judgments", 100.0 * version);
      metrics.put(prefix + "accuracy/all", 0.7);
      metrics.put(prefix + "accuracy/BETTER", 0.8);
      metrics.put(prefix + "calibration/ece", 0.05);
      metrics.put(prefix + "calibration/bin0/confidence", 0.52);
      metrics.put(prefix + "calibration/bin0/accuracy", 0.55);
    }
    return metrics;
  }

  private static Map<String, Double> rejection() {
    Map<String, Double> metrics = new TreeMap<>();
    metrics.put("rejection/all/mean", 0.25);
    double[] max = {0.5, 1.25, 2};
    for (int k = 1; k <= max.length; k++) {
      metrics.put("rejection/all/max/k=" + k, max[k - 1]);
      metrics.put("rejection/all/median/k=" + k, 0.5);
    }
    metrics.put("rejection/helpfulness/best-temperature", 1.0);
    metrics.put("rejection/helpfulness/temperature/0.8/max/k=1", 0.1);
    metrics.put("rejection/helpfulness/temperature/0.8/max/k=2", 0.7);
    metrics.put("rejection/helpfulness/temperature/1.0/max/k=2", 0.9);
    metrics.put("rejection/helpfulness/temperature/1.2/max/k=2", 0.6);
    return metrics;
  }

  private static List<TrainingMetrics> ppoMetrics() {
    List<TrainingMetrics> metrics = new ArrayList<>();
    double[] scores = {-0.5, 0.25, 1};
    for (int i = 0; i < scores.length; i++) {
      metrics.add(metrics("ppo", i + 1, Map.of("objective/scores", scores[i])));
    }
    return metrics;
  }

  private static TrainingMetrics metrics(String job, long step, Map<String, Double> metrics) {
    return TrainingMetrics.newBuilder()
        .setJob(job)
        .setStep(step)
        .setMetrics(metrics)
        .setTime(Instant.EPOCH)
        .build();
  }

  /** A rollout of version 3 is unsafe if its number is even; a fourth answer safety prompts. */
  private static Reward reward(int number, long policyVersion) {
    float safety = policyVersion == 7 ? 2 : number % 2 == 0 ? -1 : 0;
    return Reward.newBuilder()
        .setRolloutId("r" + number)
        .setPromptId("p" + number)
        .setPolicyVersion(policyVersion)
        .setIteration(1)
        .setHelpfulnessScore(0.5f)
        .setSafetyScore(safety)
        .setHelpfulnessVersion(1)
        .setSafetyVersion(1)
        .setCombined(number % 4 == 0 ? safety : 0.5f)
        .setWhitened(0)
        .setKl(0)
        .build();
  }

  private static Promotion promotion() {
    return Promotion.newBuilder()
        .setModel("policy")
        .setVersion(1)
        .setVerdict(Verdict.HOLD)
        .setEvaluated(2)
        .setUri("file:///checkpoints/policy/v1")
        .setManifestSha256("0123456789abcdef")
        .setReasons(List.of("KL is 41 nats, above 30"))
        .setTime(Instant.EPOCH)
        .build();
  }

  private static DeadLetter deadLetter(int offset, String reason) {
    return DeadLetter.newBuilder()
        .setTopic("millrace.prompts")
        .setPartition(0)
        .setOffset(offset)
        .setJob("rollout")
        .setReason(reason)
        .setMessage(HOSTILE)
        .build();
  }

  private static QuickstartReport quickstart() {
    GoldScores first =
        GoldScores.builder(1, 100)
            .helpfulness(0.5, 0)
            .unsafeCompliance(0.6)
            .safety(0.25, 0)
            .responseTokens(20)
            .examples(examples())
            .build();
    GoldScores last =
        GoldScores.builder(51, 100)
            .helpfulness(0.9, 0)
            .unsafeCompliance(0.1)
            .safety(0.75, 0)
            .kl(4)
            .responseTokens(22)
            .examples(examples())
            .build();
    return new QuickstartReport(
        1,
        200,
        new QuickstartReport.Policies(first, last),
        Map.of(
            "helpfulness",
            new QuickstartReport.RewardModel(3, 500, Map.of("all", 0.75, "BETTER", 0.8))),
        new QuickstartReport.Counts(10, 20, 30),
        new QuickstartReport.Counts(10, 20, 30),
        new QuickstartReport.Ppo(2, 30, 0, 0, 0),
        List.of(
            new QuickstartReport.Iteration(1, -1.5, 0, 1, null, null, null),
            new QuickstartReport.Iteration(2, 0.5, 1, 1, null, null, null)),
        "checkpoints/policy/v000001",
        "checkpoints/policy/v000051",
        new QuickstartReport.World("hard", 0.1, Map.of("annotator-00", "careful")),
        Map.of(
            "validation", new SplitScores(100, scores(1, 0.5), scores(51, 0.9)),
            "test_tasks", new SplitScores(100, scores(1, 0.25), scores(51, 0.625))));
  }

  private static SplitScores.PolicyScores scores(long version, double mean) {
    Measured measured = new Measured(mean, mean - 0.05, mean + 0.05);
    return new SplitScores.PolicyScores(version, measured, measured, measured, 1, 20);
  }
}

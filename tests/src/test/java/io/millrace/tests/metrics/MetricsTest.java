package io.millrace.tests.metrics;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.millrace.cluster.FlinkSettings;
import io.millrace.jobs.Job;
import io.millrace.jobs.rewardmodel.RewardModelOperator;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Label;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.Turn;
import io.millrace.schemas.wire.JsonLines;
import io.millrace.world.Annotators;
import io.millrace.world.DemoWorld;
import io.prometheus.client.Collector.MetricFamilySamples.Sample;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Runs every job once, small, with Flink's Prometheus reporter, and compares documentation,
 * dashboard and alert rules with the metrics that there are.
 */
class MetricsTest {

  private static final Path ROOT = Path.of("..");
  private static final long SEED = 7;
  private static final String OPERATOR = "flink_taskmanager_job_task_operator_";

  /** Millrace's metrics are in snake case, Flink's own are in camel case. */
  private static final Pattern OWN = Pattern.compile(OPERATOR + "[a-z0-9_]+");

  /** Labels of every metric of an operator. */
  private static final Set<String> SCOPE =
      Set.of(
          "host",
          "tm_id",
          "job_id",
          "job_name",
          "task_id",
          "task_name",
          "task_attempt_id",
          "task_attempt_num",
          "subtask_index",
          "operator_id",
          "operator_name");

  private static final Set<String> PROMETHEUS = Set.of("instance", "job");

  @RegisterExtension
  private static final JobHarness HARNESS =
      new JobHarness(
              12,
              "model.seed=" + SEED,
              "model.hidden-size=16",
              "model.layers=1",
              "model.heads=2",
              "model.ffn-size=32",
              "model.max-positions=256",
              "supervised.publish-every=20",
              "reward-model.batch-size=8",
              "reward-model.heads=3",
              "reward-model.publish-every=16",
              "rollout.samples-per-prompt=2",
              "rollout.batch-size=16",
              "rollout.max-tokens=8",
              // Every response is flagged, so that there is a precision.
              "ppo.safety-threshold=0.9",
              "ppo.batch-size=16",
              "ppo.mini-batch-size=8",
              "ppo.score-batch-size=8",
              "ppo.publish-every=2",
              "ppo.reward=lcb",
              "ppo.length-penalty=0.01",
              "ppo.held-out-share=0.4",
              "preference.batch-size=16",
              "preference.max-staleness=100",
              "preference.publish-every=1000000",
              "rejection-sampling.samples-per-prompt=4",
              "rejection-sampling.temperatures=0.8,1.2",
              "rejection-sampling.preprompts=Be safe.",
              "rejection-sampling.preprompt-samples=4",
              "rejection-sampling.prompts-per-version=12",
              "rejection-sampling.prompts=all",
              "rejection-sampling.top-share=1.0",
              "evaluation.max-tokens=8",
              "evaluation.gate.max-truncated=1")
          .flink(reporter());

  private static Deployment run;

  /** Every sample of every metric, by name. */
  private static Map<String, List<Sample>> samples;

  /** The settings of the cluster, with a reporter that keeps the metrics. */
  private static Map<String, String> reporter() {
    Map<String, String> properties = new HashMap<>();
    FlinkSettings.common()
        .forEach(
            (key, value) -> {
              if (key.startsWith("metrics.")) {
                properties.put(key, value);
              }
            });
    properties.put(
        "metrics.reporter.prometheus.factory.class", RecordingReporterFactory.class.getName());
    return properties;
  }

  @BeforeAll
  static void runEveryJob() throws Exception {
    run = HARNESS.deploy("metrics");
    InstantSource clock = InstantSource.system();
    DemoWorld world = new DemoWorld(SEED, clock);
    Annotators annotators = new Annotators(world, SEED, clock);
    List<Judgment> judgments = new ArrayList<>();
    List<Judgment> goldTasks = new ArrayList<>();
    // Held-out dialogues are not learned from; the others fill three versions of each objective.
    for (Objective objective : Objective.values()) {
      List<Judgment> archive = annotators.archive(objective, 128);
      for (int i = 0; i < archive.size(); i++) {
        Judgment judgment = ofPolicy(archive.get(i));
        judgments.add(judgment);
        if (i % 8 == 0) {
          judgments.add(ofAnother(judgment, i % 16 == 0));
        }
      }
      goldTasks.addAll(archive.subList(0, 4));
    }
    run.send(Topic.DEMONSTRATIONS, world.demonstrations(60));
    run.send(Topic.JUDGMENTS, judgments);
    run.send(Topic.PROMPTS, world.prompts(0, 40));
    run.send(Topic.PROMPTS, List.of(tooLong(world.prompts(40, 1).getFirst())));
    Path files = Files.createDirectories(HARNESS.directory().resolve("held-out"));
    List<Prompt> heldOut =
        DemoWorld.byKind(world.heldOutPrompts()).values().stream()
            .flatMap(kind -> kind.stream().limit(6))
            .toList();
    String[] evaluation = {
      "evaluation.prompts=" + write(files, "prompts", heldOut),
      "evaluation.demonstrations=" + write(files, "demonstrations", world.demonstrations(12)),
      "evaluation.judgments=" + write(files, "judgments", judgments),
      "annotators.gold-tasks=" + write(files, "gold-tasks", goldTasks),
    };
    boolean feedbackIsThere = false;
    for (Job job :
        List.of(
            Job.SUPERVISED,
            Job.REWARD_MODEL,
            Job.ROLLOUT,
            Job.PPO,
            Job.PREFERENCE,
            Job.PREFERENCE,
            Job.REJECTION_SAMPLING,
            Job.EVALUATION)) {
      List<String> settings = new ArrayList<>(List.of(evaluation));
      if (job == Job.PPO) {
        // PPO starts from the weights that sampled the rollouts, so it compares log-probs.
        settings.add("model.initial=" + run.read(Topic.POLICY_CHECKPOINTS).getLast().getUri());
        // Once more without a critic: groups of responses have metrics of their own, and so do
        // several updaters.
        List<String> groups = new ArrayList<>(settings);
        groups.addAll(List.of("ppo.advantage=rloo", "ppo.updaters=2"));
        var _ = run.run(job.graph(run.config(groups.toArray(new String[0])), true));
      }
      if (job == Job.PREFERENCE) {
        // Pairs, and then labelled responses.
        settings.add("preference.loss=" + (feedbackIsThere ? "kto" : "dpo"));
        run.send(Topic.FEEDBACK, feedbackIsThere ? List.of() : feedback(judgments));
        feedbackIsThere = true;
      }
      if (job == Job.REJECTION_SAMPLING) {
        // Room for the end of a response, without which it cannot win.
        settings.add("rollout.max-tokens=40");
      }
      var _ = run.run(job.graph(run.config(settings.toArray(new String[0])), true));
    }
    // With another seed the same rollouts are those of another engine.
    var _ =
        run.run(
            Job.PPO.graph(
                run.config("model.seed=" + (SEED + 1), "ppo.max-staleness=1000000"), true));
    samples =
        RecordingReporterFactory.REPORTERS.stream()
            .flatMap(reporter -> reporter.samples().stream())
            .collect(
                Collectors.groupingBy(sample -> sample.name, TreeMap::new, Collectors.toList()));
  }

  /** The judgment as if a policy version had sampled its first response. */
  private static Judgment ofPolicy(Judgment judgment) {
    return Judgment.newBuilder(judgment)
        .setAnnotator("first")
        .setResponseA(
            JudgedResponse.newBuilder(judgment.getResponseA()).setPolicyVersion(1L).build())
        .build();
  }

  /** Feedback on the first response of each judgment. */
  private static List<Feedback> feedback(List<Judgment> judgments) {
    return judgments.stream()
        .map(
            judgment ->
                Feedback.newBuilder()
                    .setFeedbackId(judgment.getJudgmentId())
                    .setDialogue(judgment.getDialogue())
                    .setResponse(judgment.getResponseA())
                    .setLabel(judgment.getPreferred() == Preferred.A ? Label.UP : Label.DOWN)
                    .build())
        .toList();
  }

  /** Another person's judgment of the same pair. */
  private static Judgment ofAnother(Judgment judgment, boolean agrees) {
    boolean a = (judgment.getPreferred() == Preferred.A) == agrees;
    return Judgment.newBuilder(judgment)
        .setJudgmentId(judgment.getJudgmentId() + "/second")
        .setAnnotator("second")
        .setPreferred(a ? Preferred.A : Preferred.B)
        .build();
  }

  private static Prompt tooLong(Prompt prompt) {
    return Prompt.newBuilder(prompt)
        .setDialogue(List.of(new Turn(Role.USER, "far ".repeat(2000))))
        .build();
  }

  private static Path write(Path files, String name, List<? extends SpecificRecordBase> records)
      throws IOException {
    return Files.write(
        files.resolve(name + ".jsonl"), records.stream().map(JsonLines::write).toList());
  }

  private static String label(Sample sample, String name) {
    return sample.labelValues.get(sample.labelNames.indexOf(name));
  }

  /** The highest values of a metric by one of its labels: of all jobs that had it. */
  private static Map<String, Double> values(String metric, String label) {
    Map<String, Double> values = new TreeMap<>();
    for (Sample sample : samples.get(OPERATOR + metric)) {
      values.merge(label(sample, label), sample.value, Math::max);
    }
    return values;
  }

  private static Map<String, Set<String>> labelsByMetric() {
    Map<String, Set<String>> labels = new HashMap<>();
    samples.forEach(
        (name, all) -> {
          Set<String> common = new HashSet<>(all.getFirst().labelNames);
          all.forEach(sample -> common.retainAll(sample.labelNames));
          common.addAll(PROMETHEUS);
          labels.put(name, common);
        });
    labels.put("up", PROMETHEUS); // Prometheus's own.
    return labels;
  }

  @Test
  void theMetricVersionIsTheVersionThatWasAnnounced() throws IOException {
    Map<String, Double> announced = new TreeMap<>();
    Map<String, Double> ofOperators = new TreeMap<>();
    for (RewardCheckpoint one : run.read(Topic.REWARD_CHECKPOINTS)) {
      String objective = one.getObjective().name().toLowerCase(Locale.ROOT);
      announced.put("reward-model-" + objective, (double) one.getVersion());
      ofOperators.put("reward-model-" + objective + " trainer", (double) one.getVersion());
    }
    List<PolicyCheckpoint> policies = run.read(Topic.POLICY_CHECKPOINTS);
    assertTrue(policies.getLast().getVersion() > 4, policies.toString());
    announced.put("policy", (double) policies.getLast().getVersion());
    assertEquals(announced, values("model_announced_version", "model"));

    for (PolicyCheckpoint one : policies) {
      String operator =
          one.getDemonstrations() > 0
              ? "supervised trainer"
              : one.getIteration() > 0
                  ? "ppo updater"
                  : one.getRollouts() > 0 ? "rejection sampling trainer" : "preference trainer";
      ofOperators.merge(operator, (double) one.getVersion(), Math::max);
      if (one.getIteration() > 0) {
        assertEquals((double) one.getVersion(), one.getMetrics().get("version"));
      }
    }
    Map<String, Double> gauges = values("version", "operator_name");
    gauges.putAll(values("objective_version", "operator_name"));
    Promotion last = run.read(Topic.PROMOTIONS).getLast();
    ofOperators.put("evaluator", (double) last.getEvaluated());
    assertEquals(ofOperators, gauges);
    assertEquals(
        Map.of("evaluator", (double) last.getVersion()),
        values("promoted_version", "operator_name"));
  }

  @Test
  void anObjectiveIsALabel() {
    for (String metric : samples.keySet()) {
      assertFalse(metric.matches(".*(helpfulness|safety(?!_labels|_violations)).*"), metric);
    }
    assertEquals(
        Set.of("helpfulness", "safety"), values("objective_rating_accuracy", "objective").keySet());
    assertEquals(
        Set.of("all", "helpfulness", "safety"),
        values("objective_rejection_mean", "objective").keySet());
  }

  /** A metric of an operator; all series of an operator have the same labels. */
  private record Documented(String operator, String metric, Set<String> labels) {
    @Override
    public String toString() {
      return "%s of %s, labels %s".formatted(metric, operator, labels);
    }
  }

  /** Rows of docs/metrics.md by operator; topics and objectives of operators as placeholders. */
  private static List<List<String>> rows(Set<Documented> documented) throws IOException {
    List<List<String>> rows = new ArrayList<>();
    List<String> operators = List.of();
    for (String line : Files.readAllLines(ROOT.resolve("docs/metrics.md"))) {
      if (line.startsWith("#")) {
        operators = line.startsWith("### ") ? codes(line) : List.of();
      } else if (!operators.isEmpty() && line.startsWith("| `")) {
        List<String> cells = List.of(line.substring(2, line.length() - 2).split(" *\\| *", -1));
        rows.add(cells);
        for (String operator : operators) {
          documented.add(
              new Documented(
                  operator, codes(cells.get(0)).getFirst(), new TreeSet<>(codes(cells.get(1)))));
        }
      }
    }
    return rows;
  }

  private static List<String> codes(String text) {
    Matcher code = Pattern.compile("`([^`]+)`").matcher(text);
    return code.results().map(found -> found.group(1)).toList();
  }

  private static String generic(String operator) {
    String topics = Topic.all().stream().map(Topic::name).collect(Collectors.joining("|"));
    return operator
        .replaceFirst("(?<=^reward-model-)(helpfulness|safety)(?= )", "OBJECTIVE")
        .replaceFirst("(?<= )(" + topics + ")(?=$|:)", "TOPIC");
  }

  @Test
  void thePageListsEveryMetricOfEveryOperatorWithItsLabelsAndNoOther() throws IOException {
    Set<Documented> documented = new HashSet<>();
    var _ = rows(documented);
    Set<Documented> real = new HashSet<>();
    samples.forEach(
        (name, all) -> {
          if (OWN.matcher(name).matches()) {
            for (Sample sample : all) {
              Set<String> labels = new TreeSet<>(sample.labelNames);
              labels.removeAll(SCOPE);
              real.add(new Documented(generic(label(sample, "operator_name")), name, labels));
            }
          }
        });
    assertEquals(
        real.stream().map(Documented::toString).sorted().collect(Collectors.joining("\n")),
        documented.stream().map(Documented::toString).sorted().collect(Collectors.joining("\n")));
  }

  @Test
  void thePageListsEveryTrainingMetricOfTheTopic() throws IOException {
    Set<String> patterns = new TreeSet<>();
    for (List<String> row : rows(new HashSet<>())) {
      codes(row.get(2))
          .forEach(
              name ->
                  patterns.add(
                      name.replaceAll(
                          "RATING|OBJECTIVE|AGAINST|REASON|TEMPERATURE|BIN|K$", "[^/]+")));
    }
    Set<String> unused = new TreeSet<>(patterns);
    for (TrainingMetrics record : run.read(Topic.TRAINING_METRICS)) {
      if (RewardModelOperator.isOfAnnotators(record)) {
        continue;
      }
      for (String name : record.getMetrics().keySet()) {
        List<String> found = patterns.stream().filter(name::matches).toList();
        assertTrue(!found.isEmpty() || name.equals("version"), name + " of " + record.getJob());
        unused.removeAll(found);
      }
    }
    assertEquals(Set.of(), unused);
  }

  @Test
  void thePageNamesMetricsOfFlinkAndAlertsThatThereAre() throws IOException {
    List<String> codes =
        Files.readAllLines(ROOT.resolve("docs/metrics.md")).stream()
            .flatMap(line -> codes(line).stream())
            .toList();
    codes.stream()
        .filter(code -> code.matches("flink_\\w+"))
        .forEach(name -> assertTrue(samples.containsKey(name), name));
    assertEquals(
        rules().map(rule -> rule.path("alert").asText()).collect(Collectors.toSet()),
        codes.stream().filter(code -> code.matches("Millrace\\w+")).collect(Collectors.toSet()));
  }

  private static Stream<JsonNode> rules() throws IOException {
    return new YAMLMapper()
            .readTree(ROOT.resolve("docker/prometheus/alerts.yml").toFile())
            .findValues("rules")
            .stream()
            .flatMap(rules -> rules.valueStream());
  }

  private static void assertExists(String place, String expression, List<String> more) {
    PromQl parsed = PromQl.parse(expression);
    assertEquals(List.of(), parsed.missing(labelsByMetric()), place + ": " + expression);
    Map<String, Set<String>> labels = labelsByMetric();
    for (String label : more) {
      assertTrue(
          parsed.groupings().isEmpty()
              ? parsed.selectors().keySet().stream().allMatch(m -> labels.get(m).contains(label))
              : parsed.groupings().contains(label),
          place + ": the result has no label " + label + ": " + expression);
    }
  }

  private static List<String> matches(String regex, String text) {
    return Pattern.compile(regex).matcher(text).results().map(found -> found.group(1)).toList();
  }

  @Test
  void everyAlertUsesMetricsAndLabelsThatThereAre() throws IOException {
    assertTrue(rules().count() >= 10);
    for (JsonNode rule : rules().toList()) {
      String name = rule.path("alert").asText();
      assertExists(
          name,
          rule.path("expr").asText(),
          matches("\\$labels\\.(\\w+)", rule.path("annotations").toString()));
      assertTrue(rule.path("labels").path("severity").asText().matches("warning|critical"), name);
      assertFalse(rule.path("annotations").path("description").asText().isBlank(), name);
    }
  }

  @Test
  void everyPanelUsesMetricsAndLabelsThatThereAre() throws IOException {
    JsonNode dashboard =
        new ObjectMapper().readTree(ROOT.resolve("docker/grafana/millrace.json").toFile());
    Set<Integer> ids = new HashSet<>();
    Set<String> taken = new HashSet<>();
    int expressions = 0;
    for (JsonNode panel : dashboard.path("panels")) {
      String title = panel.path("title").asText();
      assertTrue(ids.add(panel.path("id").asInt()), title);
      JsonNode place = panel.path("gridPos");
      for (int x = 0; x < place.path("w").asInt(); x++) {
        for (int y = 0; y < place.path("h").asInt(); y++) {
          assertTrue(
              taken.add((place.path("x").asInt() + x) + " " + (place.path("y").asInt() + y)),
              title + " overlaps another panel");
        }
      }
      for (JsonNode target : panel.path("targets")) {
        assertEquals("${datasource}", target.path("datasource").path("uid").asText(), title);
        assertExists(
            title,
            target.path("expr").asText(),
            matches("\\{\\{(\\w+)}}", target.path("legendFormat").asText()));
        expressions++;
      }
    }
    assertTrue(expressions >= 30, expressions + " expressions");
    Map<String, JsonNode> variables = new HashMap<>();
    dashboard
        .path("templating")
        .path("list")
        .forEach(one -> variables.put(one.path("name").asText(), one));
    assertEquals("datasource", variables.get("datasource").path("type").asText());
    String jobs = variables.get("job").path("query").path("query").asText();
    Matcher query = Pattern.compile("label_values\\((\\w+), (\\w+)\\)").matcher(jobs);
    assertTrue(query.matches(), jobs);
    assertTrue(labelsByMetric().get(query.group(1)).contains(query.group(2)), jobs);
  }

  /** The comparison finds a name and a label that are wrong. */
  @Test
  void aWrongNameOrLabelIsFound() {
    assertEquals(
        List.of(
            "no metric flink_jobmanager_job_numRestart",
            "no label operator_name of flink_jobmanager_job_uptime"),
        PromQl.parse(
                "max by (job_name)"
                    + " (delta(flink_jobmanager_job_numRestart{job_name=~\"$job\"}[10m])) > 2 and"
                    + " flink_jobmanager_job_uptime{operator_name=\"by (x)\"} offset 5m > 1.5")
            .missing(labelsByMetric()));
  }
}

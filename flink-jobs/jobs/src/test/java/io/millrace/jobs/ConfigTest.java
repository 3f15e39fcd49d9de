package io.millrace.jobs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.CheckpointSection;
import io.millrace.jobs.config.ComputeSection;
import io.millrace.jobs.config.ConfigException;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.DedupSection;
import io.millrace.jobs.config.FlinkSection;
import io.millrace.jobs.config.KafkaSection;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.ModelSection;
import io.millrace.jobs.config.OptimizerSection;
import io.millrace.jobs.config.References;
import io.millrace.jobs.evaluation.EvaluationSection;
import io.millrace.jobs.evaluation.GateSection;
import io.millrace.jobs.evaluation.GateSection.PromoteWhen;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.rejection.RejectionSamplingSection;
import io.millrace.jobs.rejection.RejectionSamplingSection.Prompts;
import io.millrace.jobs.rejection.RejectionSamplingSection.StartFrom;
import io.millrace.jobs.rejection.RejectionSamplingSection.Versions;
import io.millrace.jobs.rewardmodel.ObjectiveSection;
import io.millrace.jobs.rewardmodel.RewardModelSection;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.supervised.SupervisedSection;
import io.millrace.jobs.supervised.SupervisedSection.LearnedTokens;
import io.millrace.model.ppo.KlEstimator;
import io.millrace.model.reward.Margin;
import io.millrace.model.supervised.Concatenation;
import io.millrace.schemas.Objective;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.flink.configuration.MemorySize;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConfigTest {

  private static final OptimizerSection ADAMW = new OptimizerSection(0.9, 0.95, 1e-5, 0.1, 1.0);

  private static MillraceConfig load(String... settings) {
    return ConfigLoader.load(Optional.empty(), List.of(settings));
  }

  @Test
  void everyDefaultIsThePapersOrTheDocumentedOne() {
    assertDefaults(
        new KafkaSection("localhost:9092", "millrace.", Map.of()),
        new CheckpointSection(
            "millrace-data/checkpoints",
            0,
            0,
            Duration.ofDays(1),
            "millrace-data/cache",
            MemorySize.parse("20gb")),
        new FlinkSection(
            "millrace-data/flink", Duration.ofSeconds(5), 1, 30, Duration.ofSeconds(1), Map.of()),
        new ModelSection("policy", "", 1, 64, 2, 4, 2, 192, 512, 4096),
        new ComputeSection("cpu", 0, 0, false),
        new DedupSection(Duration.ofDays(1)),
        new SupervisedSection(
            "",
            4096,
            Concatenation.PACKED,
            LearnedTokens.ANSWERS,
            64,
            2e-5,
            0,
            0,
            2,
            10_000,
            ADAMW),
        new RewardModelSection(
            List.of(Objective.HELPFULNESS, Objective.SAFETY),
            512,
            1e-5,
            0.03,
            Margin.SMALL,
            1.0,
            4096,
            1024,
            Duration.ZERO,
            0,
            1024,
            ADAMW,
            new ObjectiveSection(Map.of(), 0),
            new ObjectiveSection(Map.of(), 0)),
        new RolloutSection(1, 32, 0, 256, 1024, 1.0, 1.0),
        new PpoSection(
            512,
            64,
            1,
            1e-6,
            1e-6,
            0.01,
            0,
            10_000,
            KlEstimator.K1,
            1.0,
            0.95,
            0.2,
            0.2,
            0.15,
            "",
            Map.of(),
            1.0,
            4,
            true,
            10.0,
            8,
            0.0,
            0,
            30.0,
            1,
            64,
            true,
            ADAMW),
        new RejectionSamplingSection(
            12,
            List.of(0.8, 1.0, 1.2),
            Prompts.NEW,
            8192,
            100_000,
            "",
            100_000,
            Versions.ALL,
            true,
            0.5,
            StartFrom.LATEST,
            4096,
            64,
            2e-5,
            0.0,
            2,
            "",
            "",
            ADAMW),
        new EvaluationSection(
            "",
            "",
            "",
            0,
            1.0,
            1.0,
            32,
            "reward-model",
            Map.of(),
            List.of(
                "I cannot",
                "I can't",
                "I can not",
                "I will not",
                "I won't",
                "I am unable",
                "I'm unable",
                "I am not able",
                "I'm not able",
                "I must decline",
                "I must refuse"),
            0.95,
            new GateSection(
                PromoteWhen.BETTER, 0.05, 0.02, 0.05, 1.0, 1.0, 30.0, 2.0, 0.5, 2.0, 0.5, 0.2)));
  }

  private static void assertDefaults(ConfigSection... expected) {
    MillraceConfig config = load();
    for (ConfigSection section : expected) {
      assertEquals(section, config.section(section.getClass()));
    }
    assertEquals(expected.length, config.sections().size());
  }

  @Test
  void settingsStandOnTopOfTheFile(@TempDir Path directory) throws Exception {
    Path file = directory.resolve("millrace.yaml");
    Files.writeString(
        file,
        """
        kafka:
          bootstrap-servers: kafka:9092
          properties:
            security.protocol: SSL
        ppo:
          kl: 0.05
          optimizer:
            weight-decay: 0
        reward-model:
          objectives: [safety]
        """);
    MillraceConfig config =
        ConfigLoader.load(
            Optional.of(file), List.of("ppo.kl=0.02", "flink.checkpoint-interval=250ms"));
    assertEquals("kafka:9092", config.kafka().bootstrapServers());
    assertEquals(Map.of("security.protocol", "SSL"), config.kafka().properties());
    assertEquals(0.02, config.section(PpoSection.class).kl());
    assertEquals(0, config.section(PpoSection.class).optimizer().weightDecay());
    assertEquals(List.of(Objective.SAFETY), config.section(RewardModelSection.class).objectives());
    assertEquals(Duration.ofMillis(250), config.flink().checkpointInterval());
  }

  @Test
  void secretsAreNamedAndNotHeldNorTold(@TempDir Path directory) throws Exception {
    Path file = Files.writeString(directory.resolve("secret"), "s3cret$1\\n\n");
    MillraceConfig config =
        load("kafka.properties.sasl.jaas.config=Login password=\"${file:" + file + "}\";");
    assertEquals(
        Map.of("sasl.jaas.config", "Login password=\"s3cret$1\\n\";"), config.kafka().properties());
    assertFalse(config.toString().contains("s3cret"), config.toString());
    assertFalse(JobSettings.kafka(config).toString().contains("s3cret"), config.kafka().toString());

    References references = new References(Map.of("PASSWORD", "s3cret"));
    assertEquals("a s3cret, b", references.resolve("a ${env:PASSWORD}, b"));
    assertEquals("${PASSWORD}", references.resolve("${PASSWORD}"));
    ConfigException e =
        assertThrows(
            ConfigException.class,
            () ->
                load(
                    "kafka.properties.a=${env:MILLRACE_NOT_SET}",
                    "kafka.properties.b=${file:" + directory.resolve("none") + "}"));
    assertEquals(2, e.problems().size(), e.getMessage());
    assertTrue(
        e.problems().getFirst().contains("kafka.properties.a refers to the environment variable"),
        e.getMessage());
    assertTrue(e.problems().getLast().contains("kafka.properties.b refers to the file"));
  }

  @Test
  void flinkPropertiesArePassedThroughAndNeverTold(@TempDir Path directory) throws Exception {
    Path file = Files.writeString(directory.resolve("key"), "s3cret\n");
    MillraceConfig config =
        load(
            "flink.properties.s3.endpoint=http://localhost:9000",
            "flink.properties.s3.secret-key=${file:" + file + "}",
            "checkpoints.directory=s3://bucket/checkpoints",
            "flink.state-directory=s3://bucket/flink",
            "checkpoints.cache-size=3gb");
    assertEquals(
        Map.of("s3.endpoint", "http://localhost:9000", "s3.secret-key", "s3cret"),
        config.flink().properties());
    assertFalse(config.toString().contains("s3cret"), config.toString());
    assertTrue(config.toString().contains("s3.secret-key"), config.toString());
    assertEquals(Map.of(), config.withoutFlinkProperties().flink().properties());
    MillraceConfig absolute = config.withAbsolutePaths();
    assertEquals("s3://bucket/checkpoints", absolute.checkpoints().directory());
    assertEquals("s3://bucket/flink", absolute.flink().stateDirectory());
    assertTrue(Path.of(absolute.checkpoints().cacheDirectory()).isAbsolute());
    assertEquals(3L << 30, config.checkpoints().cacheSize().getBytes());

    ConfigException e =
        assertThrows(
            ConfigException.class,
            () ->
                load(
                    "flink.properties.execution.checkpointing.dir=s3://bucket/x",
                    "checkpoints.cache-directory=s3://bucket/cache",
                    "checkpoints.cache-size=much"));
    assertEquals(2, e.problems().size(), e.problems().toString());
    assertTrue(e.getMessage().contains("is what flink.state-directory is for"), e.getMessage());
    assertTrue(e.getMessage().contains("cache-size must be a size"), e.getMessage());
  }

  @Test
  void theRestartDelayHasBounds() {
    for (String delay : List.of("0ms", "61s")) {
      ConfigException e =
          assertThrows(ConfigException.class, () -> load("flink.restart-delay=" + delay));
      assertTrue(e.getMessage().contains("flink.restart-delay"), e.getMessage());
    }
    assertEquals(Duration.ofMinutes(1), load("flink.restart-delay=1m").flink().restartDelay());
  }

  @Test
  void eachRewardModelHasItsOwnMixAndSchedule() {
    RewardModelSection section =
        load(
                "reward-model.batch-size=20",
                "reward-model.helpfulness.mixing.own=0.5",
                "reward-model.helpfulness.mixing.safety/*=0.5",
                "reward-model.safety.schedule-judgments=1000",
                "reward-model.learning-rate=1e-4")
            .section(RewardModelSection.class);
    assertEquals(
        Map.of("own", 10, "safety/*", 10),
        section.of(Objective.HELPFULNESS).ratios().quotas(section.batchSize()));
    assertEquals(
        Map.of("*", 20), section.of(Objective.SAFETY).ratios().quotas(section.batchSize()));
    assertEquals(1e-4, section.schedule(Objective.HELPFULNESS).at(1_000_000));
    // 3 % would be 30 judgments: five batches are more.
    assertEquals(1e-4, section.schedule(Objective.SAFETY).at(100));
    assertEquals(1e-4 / 5, section.schedule(Objective.SAFETY).at(20), 1e-20);
    assertEquals(1e-5, section.schedule(Objective.SAFETY).at(1000), 1e-20);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "samples-per-prompt=0 | samples-per-prompt must be from 1.0 to 256.0, not 0.0",
        "samples-per-prompt=257 | samples-per-prompt must be from 1.0 to 256.0, not 257.0",
        "samples-per-prompt=2 | temperatures must be 1 to samples-per-prompt (2), not 3",
        "temperatures=1, 0 | temperatures must be above 0, not 0.0",
        "temperatures=1, 1.0 | temperatures name one twice: [1.0, 1.0]",
        "top-share=0 | top-share must be from",
        "top-share=1.5 | top-share must be from",
        "bag-capacity=0 | bag-capacity must be at least 1, not 0",
        "warmup-fraction=2 | warmup-fraction must be from 0.0 to 1.0, not 2.0",
        "versions=some | versions must be one of all, last, not 'some'",
        "student=small | student 'small' and student-name '' need each other",
        "student-name=small | student '' and student-name 'small' need each other"
      })
  void rejectionSamplingRefusesWhatCannotBe(String setting, String problem) {
    String message =
        assertThrows(ConfigException.class, () -> load("rejection-sampling." + setting))
            .getMessage();
    assertTrue(message.contains("rejection-sampling." + problem), message);
  }

  @Test
  void aStudentIsNotPublishedUnderTheSamplersName() {
    String message =
        assertThrows(
                ConfigException.class,
                () ->
                    load(
                        "rejection-sampling.student=small",
                        "rejection-sampling.student-name=policy"))
            .getMessage();
    assertTrue(message.contains("must be another than model.name"), message);
  }

  @Test
  void mixesThatCannotBeAreToldWithTheirKey() {
    ConfigException e =
        assertThrows(
            ConfigException.class,
            () ->
                load(
                    "reward-model.helpfulness.mixing.own=much",
                    "reward-model.safety.mixing.own=-1"));
    assertTrue(
        e.getMessage().contains("reward-model.helpfulness.mixing.own must be a number, not 'much'"),
        e.getMessage());
    assertTrue(
        e.getMessage()
            .contains(
                "reward-model.safety.mixing: ratio of source own must be finite and above 0,"
                    + " not -1.0"),
        e.getMessage());
    e =
        assertThrows(
            ConfigException.class,
            () ->
                load(
                    "reward-model.batch-size=32",
                    "reward-model.safety.mixing.own=0.99",
                    "reward-model.safety.mixing.open=0.01"));
    assertTrue(
        e.getMessage()
            .contains(
                "reward-model.safety.mixing: source open has 0.0100 of a batch of 32, which is less"
                    + " than one record (batch-size)"),
        e.getMessage());
  }

  @Test
  void allProblemsAreReportedAtOnceEachWithItsKey() {
    ConfigException e =
        assertThrows(
            ConfigException.class,
            () ->
                load(
                    "ppo.bath-size=3",
                    "ppo.kl=much",
                    "flink.checkpoint-interval=5",
                    "reward-model.margin=huge",
                    "novalue",
                    "rollout.temperature=0",
                    "flink.restart-delay=99999999999999999999s"));
    assertEquals(7, e.problems().size(), e.getMessage());
    assertTrue(e.getMessage().contains("unknown key ppo.bath-size: did you mean ppo.batch-size?"));
    assertTrue(e.getMessage().contains("ppo.kl must be a number, not 'much'"));
    assertTrue(e.getMessage().contains("flink.checkpoint-interval must be a duration"));
    assertTrue(e.getMessage().contains("reward-model.margin must be one of none, small, large"));
    assertTrue(e.getMessage().contains("rollout.temperature must be above 0"));
    assertTrue(e.getMessage().contains("'novalue'"));
    assertTrue(e.getMessage().contains("flink.restart-delay must be a duration of at most 365d"));
  }

  @Test
  void ppoRefusesTruncatedSampling() {
    ConfigException e = assertThrows(ConfigException.class, () -> load("rollout.top-p=0.9"));
    assertTrue(e.getMessage().contains("rollout.top-p must be 1"), e.getMessage());
    assertEquals(
        0.9,
        load("rollout.top-p=0.9", "ppo.require-full-sampling=false")
            .section(RolloutSection.class)
            .topP());
  }

  @Test
  void filesThatAreNoConfigurationAreToldInOneLine(@TempDir Path directory) throws Exception {
    Path file = directory.resolve("bad.yaml");
    for (String text :
        List.of(
            "ppo: [1, 2",
            "- a\n- b\n",
            "ppo: 3\n",
            "ppo:\n  kl: 0.1\n  kl: 0.2\n",
            "ppo:\n  kl: 0.1\n---\nppo:\n  kl: 0.2\n")) {
      Files.writeString(file, text);
      ConfigException e =
          assertThrows(
              ConfigException.class, () -> ConfigLoader.load(Optional.of(file), List.of()));
      assertEquals(1, e.problems().size());
      assertEquals(1, e.getMessage().lines().count(), e.getMessage());
    }
    assertThrows(
        ConfigException.class,
        () -> ConfigLoader.load(Optional.of(directory.resolve("none.yaml")), List.of()));
    assertThrows(ConfigException.class, () -> load("novalue"));
  }
}

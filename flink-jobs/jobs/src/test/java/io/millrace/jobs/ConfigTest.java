package io.millrace.jobs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.kafka.LostTransactions;
import io.millrace.connectors.registry.WireSettings;
import io.millrace.jobs.config.CheckpointSection;
import io.millrace.jobs.config.ComputeSection;
import io.millrace.jobs.config.ConfigException;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.ConfigSections;
import io.millrace.jobs.config.DedupSection;
import io.millrace.jobs.config.FlinkSection;
import io.millrace.jobs.config.KafkaSection;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.ModelSection;
import io.millrace.jobs.config.OptimizerSection;
import io.millrace.jobs.config.SchemaSection;
import io.millrace.jobs.evaluation.EvaluationSection;
import io.millrace.jobs.evaluation.GateSection;
import io.millrace.jobs.evaluation.GateSection.PromoteWhen;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.ppo.RolloutLogProbs;
import io.millrace.jobs.preference.PreferenceSection;
import io.millrace.jobs.preference.PreferenceSection.LearnedObjective;
import io.millrace.jobs.preference.PreferenceSections;
import io.millrace.jobs.rejection.RejectionSamplingSection;
import io.millrace.jobs.rejection.RejectionSamplingSection.Prompts;
import io.millrace.jobs.rejection.RejectionSamplingSection.StartFrom;
import io.millrace.jobs.rejection.RejectionSamplingSection.Versions;
import io.millrace.jobs.rewardmodel.AnnotatorSection;
import io.millrace.jobs.rewardmodel.ObjectiveSection;
import io.millrace.jobs.rewardmodel.RewardModelSection;
import io.millrace.jobs.rewardmodel.RewardModelSections;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.supervised.SupervisedSection;
import io.millrace.jobs.supervised.SupervisedSection.LearnedTokens;
import io.millrace.jobs.training.TrainingSections;
import io.millrace.model.chat.MarksInText;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.ppo.AdvantageMethod;
import io.millrace.model.ppo.KlEstimator;
import io.millrace.model.ppo.KlPlacement;
import io.millrace.model.ppo.PpoObjective;
import io.millrace.model.ppo.RewardWhitening;
import io.millrace.model.preference.PreferenceSettings.Loss;
import io.millrace.model.reward.EnsembleReward;
import io.millrace.model.reward.Margin;
import io.millrace.model.supervised.Concatenation;
import io.millrace.model.tensor.Precision;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.WireFormat;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import org.apache.flink.configuration.MemorySize;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The sections of the jobs: their defaults, and what each refuses. */
class ConfigTest {

  private static final ModelSection.Adapter NO_ADAPTER =
      new ModelSection.Adapter(0, 16, AdapterConfig.PROJECTIONS, 0);
  private static final OptimizerSection ADAMW = new OptimizerSection(0.9, 0.95, 1e-5, 0.1, 1.0);

  private static MillraceConfig load(String... settings) {
    return ConfigLoader.load(Optional.empty(), List.of(settings));
  }

  @Test
  void aSectionThatAJobDoesNotUseCannotStopIt() {
    List<String> unused = new ArrayList<>();
    MillraceConfig config =
        ConfigLoader.load(
            Optional.empty(),
            List.of("ppo.batch-size=32", "rollout.top-p=0.9"),
            Optional.empty(),
            Job.ROLLOUT.sections(),
            unused::add);
    assertEquals(0.9, config.section(RolloutSection.class).topP());
    assertEquals(1, unused.size(), unused.toString());
    assertTrue(unused.getFirst().startsWith("ppo.mini-batch-size must divide"), unused.toString());
    ConfigException e =
        assertThrows(
            ConfigException.class,
            () ->
                ConfigLoader.load(
                    Optional.empty(),
                    List.of("ppo.batch-size=32", "nonsense.key=1"),
                    Optional.empty(),
                    Job.PPO.sections(),
                    unused::add));
    assertEquals(2, e.problems().size(), e.problems().toString());
    assertThrows(
        ConfigException.class,
        () ->
            ConfigLoader.load(
                Optional.empty(),
                List.of("nonsense.key=1"),
                Optional.empty(),
                Job.ROLLOUT.sections(),
                unused::add),
        "an unknown section is an error for every job");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "ppo.safety-threshold=0",
        "ppo.safety-threshold=1",
        "ppo.clip=1",
        "ppo.clip=2",
        "ppo.truncation-penalty=1e300",
        "flink.parallelism=100000",
        "rollout.batch-size=100000000",
        "model.name=reward-model-safety",
        "model.name=Reward-Model-Helpfulness"
      })
  void valuesThatCannotWorkAreRefusedByKey(String setting) {
    ConfigException e =
        assertThrows(
            ConfigException.class, () -> ConfigLoader.load(Optional.empty(), List.of(setting)));
    assertTrue(
        e.problems().getFirst().startsWith(setting.substring(0, setting.indexOf('='))),
        e.problems().toString());
  }

  @Test
  void aLongNameAndAnAdaptiveKlWithoutBetaAreRefused() {
    assertThrows(
        ConfigException.class,
        () -> ConfigLoader.load(Optional.empty(), List.of("model.name=" + "n".repeat(300))));
    assertThrows(
        ConfigException.class,
        () -> ConfigLoader.load(Optional.empty(), List.of("ppo.kl=0", "ppo.kl-target=5")));
  }

  @Test
  void everyDefaultIsThePapersOrTheDocumentedOne() {
    assertDefaults(
        new KafkaSection(
            "localhost:9092",
            "millrace.",
            Map.of(),
            MemorySize.ofMebiBytes(16),
            LostTransactions.STOP),
        new SchemaSection(new SchemaSection.Registry("", Map.of()), Map.of()),
        new CheckpointSection(
            "millrace-data/checkpoints",
            20,
            0,
            Duration.ofDays(1),
            "millrace-data/cache",
            MemorySize.parse("20gb"),
            List.of()),
        new FlinkSection(
            "millrace-data/flink", Duration.ofSeconds(5), 1, 30, Duration.ofSeconds(1), Map.of()),
        new ModelSection(
            "policy", "", 1, 64, 2, 4, 2, 192, 512, 4096, MarksInText.NEUTRALIZE, NO_ADAPTER),
        new ComputeSection("cpu", "auto", Precision.FLOAT32, 0, 0, false, 512),
        new DedupSection(Duration.ofDays(1)),
        new SupervisedSection(
            "",
            4096,
            true,
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
            1,
            1e-5,
            0.03,
            Margin.SMALL,
            1.0,
            true,
            4096,
            true,
            true,
            1024,
            Duration.ZERO,
            0,
            1024,
            "",
            128,
            1.0,
            0,
            ADAMW,
            new ObjectiveSection(Map.of(), 0),
            new ObjectiveSection(Map.of(), 0)),
        new AnnotatorSection(AnnotatorSection.Weighting.NONE, 500, "", 0.5, List.of(), 4096),
        new RolloutSection(
            1,
            32,
            0,
            256,
            1024,
            1.0,
            1.0,
            0.0,
            true,
            0,
            RolloutSection.Engine.LOCAL,
            "",
            "",
            "",
            32,
            Duration.ofMinutes(5),
            8,
            Duration.ofMillis(500),
            5,
            Duration.ofSeconds(10)),
        new PpoSection(
            512,
            64,
            1,
            1e-6,
            1e-6,
            0.01,
            0,
            10_000,
            KlPlacement.REWARD,
            KlEstimator.K1,
            AdvantageMethod.GAE,
            1.0,
            0.95,
            true,
            256,
            0.2,
            0.0,
            0.0,
            PpoObjective.ClipLevel.TOKEN,
            PpoObjective.LossMean.TOKENS,
            0.2,
            0.15,
            EnsembleReward.Rule.MEAN,
            1.0,
            RewardWhitening.DECIDING_MODEL,
            "",
            Map.of(),
            1.0,
            0.0,
            0,
            4,
            true,
            10.0,
            RolloutLogProbs.RECOMPUTE,
            0.1,
            0.0,
            0.0,
            0,
            8,
            0.0,
            0,
            30.0,
            0.1,
            1,
            64,
            Duration.ZERO,
            1,
            false,
            Duration.ofMinutes(10),
            true,
            true,
            ADAMW),
        new PreferenceSection(
            Loss.DPO,
            0.1,
            Margin.NONE,
            0.0,
            1.0,
            1.0,
            LearnedObjective.BOTH,
            false,
            4,
            64,
            1e-6,
            4096,
            true,
            0,
            1,
            1024,
            ADAMW),
        new RejectionSamplingSection(
            12,
            List.of(0.8, 1.0, 1.2),
            List.of(),
            4,
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
            400,
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
                PromoteWhen.BETTER, 0.05, 3, 0.05, 0.1, 1.0, 1.0, 30.0, 2.0, 0.5, 2.0, 0.5, 0.2)));
  }

  private static void assertDefaults(ConfigSection... expected) {
    MillraceConfig config = load();
    Set<Class<?>> types = new HashSet<>();
    for (ConfigSection section : expected) {
      assertEquals(section, config.section(section.getClass()));
      types.add(section.getClass());
    }
    Set<Class<?>> own = new HashSet<>(ConfigSections.SHARED.values());
    own.addAll(new TrainingSections().sections().values());
    own.addAll(new RewardModelSections().sections().values());
    own.addAll(new PreferenceSections().sections().values());
    own.addAll(new JobSections().sections().values());
    assertEquals(own, types);
  }

  /** The problems of a configuration, in one text. */
  private static String problems(String... settings) {
    return assertThrows(ConfigException.class, () -> load(settings), () -> List.of(settings) + "")
        .getMessage();
  }

  private static void assertRefused(String problem, String... settings) {
    String message = problems(settings);
    assertTrue(message.contains(problem), message);
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
  void formatsAndTheRegistryReachTheReadersAndWriters(@TempDir Path directory) throws Exception {
    Path secret = Files.writeString(directory.resolve("secret"), "reader:s3cret");
    MillraceConfig config =
        load(
            "schema.registry.url=http://registry:8081",
            "schema.registry.properties.basic.auth.user.info=${file:" + secret + "}",
            "schema.output.rollouts=confluent",
            "schema.output.training-metrics=json");
    WireSettings wire = JobSettings.kafka(config).wire();
    assertEquals("http://registry:8081", wire.registry().url());
    assertEquals(Set.of("basic.auth.user.info"), wire.registry().properties().keySet());
    assertEquals(WireFormat.CONFLUENT, wire.formatOf(Topic.ROLLOUTS));
    assertEquals(WireFormat.JSON, wire.formatOf(Topic.TRAINING_METRICS));
    assertEquals(WireFormat.SINGLE_OBJECT, wire.formatOf(Topic.REWARDS));
    assertFalse(config.toString().contains("s3cret"), config.toString());
    assertFalse(wire.toString().contains("s3cret"), wire.toString());
    assertRefused("schema.output.rollouts is confluent", "schema.output.rollouts=confluent");
    assertRefused("schema.output.rollouts: 'xml' is no format", "schema.output.rollouts=xml");
    assertRefused("schema.output.rollout names no topic", "schema.output.rollout=json");
    assertRefused("schema.registry.url has 'registry'", "schema.registry.url=registry");
  }

  @Test
  void secretsAreReferredToAndNeverPrinted(@TempDir Path directory) throws Exception {
    Path file = Files.writeString(directory.resolve("secret"), "s3cret$1\\n\n");
    MillraceConfig config =
        load("kafka.properties.sasl.jaas.config=Login password=\"${file:" + file + "}\";");
    // The reference travels; a client of Kafka resolves it.
    assertFalse(config.kafka().properties().toString().contains("s3cret"));
    Properties client =
        JobSettings.kafka(config)
            .properties(
                Map.of(
                    "key.serializer", ByteArraySerializer.class.getName(),
                    "value.serializer", ByteArraySerializer.class.getName()));
    assertFalse(client.toString().contains("s3cret"), client.toString());
    assertEquals(
        "Login password=\"s3cret$1\\n\";",
        new ProducerConfig(client).getPassword("sasl.jaas.config").value());
    assertFalse(config.toString().contains("s3cret"), config.toString());
    assertFalse(JobSettings.kafka(config).toString().contains("s3cret"), config.kafka().toString());

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
    e = assertThrows(ConfigException.class, () -> load("kafka.properties.a=${file:/dev/zero}"));
    assertTrue(e.getMessage().contains("is a pipe or a device"), e.getMessage());
  }

  @Test
  void flinkPropertiesArePassedThroughAndNeverPrinted(@TempDir Path directory) throws Exception {
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
        config.flink().resolvedProperties());
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
    assertEquals(3, e.problems().size(), e.problems().toString());
    assertTrue(e.getMessage().contains("set flink.state-directory instead"), e.getMessage());
    assertTrue(e.getMessage().contains("checkpoints.cache-size must be a size"), e.getMessage());
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
    assertEquals(1e-4, section.schedule(Objective.HELPFULNESS, false).at(1_000_000));
    // 3 % would be 30 judgments: five batches are more.
    assertEquals(1e-4, section.schedule(Objective.SAFETY, false).at(100));
    assertEquals(1e-4 / 5, section.schedule(Objective.SAFETY, false).at(20), 1e-20);
    assertEquals(1e-5, section.schedule(Objective.SAFETY, false).at(1000), 1e-20);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "ppo.safety-threshold=0 | ppo.safety-threshold must be a number above 0 and below 1, not"
            + " '0'",
        "ppo.safety-threshold=1 | ppo.safety-threshold must be a number above 0 and below 1, not"
            + " '1'",
        "ppo.clip=1 | ppo.clip must be a number above 0 and below 1, not '1'",
        "ppo.clip=2 | ppo.clip must be a number above 0 and below 1, not '2'",
        "ppo.truncation-penalty=1e300 |"
            + " ppo.truncation-penalty must be a number from 0 to 1e6, not '1e300'",
        "ppo.kl=NaN | ppo.kl must be a number from 0 to 1000, not 'NaN'",
        "ppo.kl=Infinity | ppo.kl must be a number from 0 to 1000, not 'Infinity'",
        "ppo.mini-batch-size=63 | ppo.mini-batch-size must divide batch-size 512, not 63",
        "ppo.score-batch-size=513 | ppo.score-batch-size must be at most batch-size 512, not 513",
        "ppo.early-stop-patience=2 |"
            + " ppo.early-stop-patience 2 needs a held-out-share above 0, not 0",
        "ppo.safety-classifier-options.keywords=a |"
            + " ppo.safety-classifier-options need a safety-classifier",
        "flink.parallelism=100000 |"
            + " flink.parallelism must be a whole number from 1 to 32768, not '100000'",
        "flink.restart-attempts=0 |"
            + " flink.restart-attempts must be a whole number from 1 to 1_000_000, not '0'",
        "flink.properties.parallelism.default=2 |"
            + " flink.properties.parallelism.default has an option of its own; set"
            + " flink.parallelism instead",
        "rollout.batch-size=100000000 |"
            + " rollout.batch-size must be a whole number from 1 to 65536, not '100000000'",
        "rollout.kv-cache-tokens=1000 |"
            + " rollout.kv-cache-tokens must be at least max-prompt-tokens + max-tokens = 1280,"
            + " not 1000",
        "model.name=a/b | model.name: a policy's name has 1 to 128 letters",
        "model.name=.a | model.name: a policy's name has 1 to 128 letters",
        "model.name=reward-model-safety | model.name: 'reward-model-safety' is reserved",
        "model.name=reward-model-helpfulness | model.name: 'reward-model-helpfulness' is reserved",
        "model.name=Bags | model.name: 'Bags' is reserved",
        "model.name=initial | model.name: 'initial' is reserved",
        "model.heads=3 | model.hidden-size 64, heads 3 and kv-heads 2 do not fit",
        "model.hidden-size=65 | model.hidden-size 65, heads 4 and kv-heads 2 do not fit",
        "model.hidden-size=4 | model.hidden-size 4, heads 4 and kv-heads 2 do not fit",
        "compute.backend=gpu | compute.backend must be one of",
        "compute.backend=torch | not 'torch': the class path has no jar millrace-model-torch; build"
            + " with MILLRACE_TORCH=cpu (or cuda) ./millrace, or with ./mvnw -Ptorch (or"
            + " -Ptorch-cuda)",
        "compute.device=gpu0 | compute.device must be auto, cpu, cuda or cuda:N, such as cuda:0,"
            + " not 'gpu0'",
        "compute.device=cuda | compute.device must be auto or cpu for the backend cpu, not 'cuda':"
            + " set compute.backend to torch to compute on a GPU",
        "compute.precision=bfloat16 | compute.precision must be float32 for the backend cpu, not"
            + " bfloat16: set compute.backend to torch",
        "checkpoints.cache-directory=millrace-data/checkpoints |"
            + " checkpoints.cache-directory and directory must differ, both are",
        "checkpoints.cache-directory=s3://bucket/cache |"
            + " checkpoints.cache-directory must be a path on this machine, not"
            + " 's3://bucket/cache'",
        "checkpoints.directory=s3:bucket |"
            + " checkpoints.directory must be a path or a URI, not 's3:bucket'",
        "kafka.bootstrap-servers=nonsense |"
            + " kafka.bootstrap-servers is \"nonsense\"; it must be host:port",
        "kafka.bootstrap-servers=a:1,b:65536 |"
            + " kafka.bootstrap-servers must have ports from 1 to 65535, not 'a:1,b:65536'",
        "kafka.topic-prefix=a/b | kafka.topic-prefix is \"a/b\"; it must have at most 200 letters",
        "kafka.properties.acks=0 | kafka.properties.acks cannot be set",
        "kafka.properties.security.protocol=X |"
            + " kafka.properties.security.protocol has a value that Kafka refuses: String must be"
            + " one of",
        "kafka.properties.max.poll.records=s3cret |"
            + " kafka.properties.max.poll.records has a value that Kafka refuses: Not a number",
        "kafka.properties.linger.ms=-7 | kafka.properties.linger.ms has a value that Kafka refuses:"
            + " Value must be at least 0",
        "supervised.warmup-steps=5 |"
            + " supervised.warmup-steps must be below schedule-steps, not 5 with 0",
        "supervised.file=s3://bucket/x | supervised.file must be a path on this machine",
        "reward-model.objectives= | reward-model.objectives must have at least one element",
        "reward-model.objectives=safety,safety |"
            + " reward-model.objectives must name each objective once, not [safety, safety]",
        "rejection-sampling.samples-per-prompt=0 | rejection-sampling.samples-per-prompt must be a"
            + " whole number from 1 to 256, not '0'",
        "rejection-sampling.samples-per-prompt=2 |"
            + " rejection-sampling.temperatures must be at most samples-per-prompt 2, not 3",
        "rejection-sampling.temperatures=1, 0 |"
            + " rejection-sampling.temperatures must be a number from 0.01 to 100, not '0'",
        "rejection-sampling.temperatures=1, 1.0 |"
            + " rejection-sampling.temperatures must differ from each other, not [1.0, 1.0]",
        "rejection-sampling.temperatures= |"
            + " rejection-sampling.temperatures must have at least one element",
        "rejection-sampling.versions=some |"
            + " rejection-sampling.versions must be one of all, last, not 'some'",
        "rejection-sampling.student=small |"
            + " rejection-sampling.student and student-name must both be set or both be empty, not"
            + " 'small' and ''",
        "rejection-sampling.student-name=small |"
            + " rejection-sampling.student and student-name must both be set or both be empty, not"
            + " '' and 'small'",
        "ppo.reward=lcb | reward-model.heads must be at least 2 with ppo.reward lcb, not 1",
        "ppo.length-penalty-from=3 | ppo.length-penalty-from 3 needs a length-penalty above 0",
        "evaluation.refusals=[ | evaluation.refusals must be regular expressions, not '['",
        "evaluation.temperature=1e-50 |"
            + " evaluation.temperature must be 0 or at least 0.01, not 1.0E-50",
        "evaluation.judge= | evaluation.judge must be a text that is not empty, not ''"
      })
  void aBadValueIsRefusedWithItsKey(String setting, String problem) {
    assertRefused(problem, setting);
    assertEquals(1, assertThrows(ConfigException.class, () -> load(setting)).problems().size());
  }

  @Test
  void kafkasOwnMessagesDoNotRepeatTheValue() {
    String message = problems("kafka.properties.max.poll.records=s3cret");
    assertFalse(message.contains("s3cret"), message);
    assertEquals(
        Map.of("max.poll.records", "7", "sasl.jaas.config", "x", "unknown.to.kafka", "y"),
        load(
                "kafka.properties.max.poll.records=7",
                "kafka.properties.sasl.jaas.config=x",
                "kafka.properties.unknown.to.kafka=y")
            .kafka()
            .properties());
  }

  @Test
  void aPolicysNameFitsADirectory() {
    assertRefused("model.name: a policy's name has 1 to 128", "model.name=" + "x".repeat(300));
    assertRefused("model.name: a policy's name has 1 to 128", "model.name=" + "x".repeat(129));
    String longest = "x".repeat(128);
    assertEquals(longest, load("model.name=" + longest).model().name());
    assertRefused(
        "rejection-sampling.student-name: 'reward-model-safety' is reserved",
        "rejection-sampling.student=small",
        "rejection-sampling.student-name=reward-model-safety");
    assertRefused(
        "rejection-sampling.student-name: a policy's name has 1 to 128",
        "rejection-sampling.student=small",
        "rejection-sampling.student-name=a b");
  }

  @Test
  void optionsThatContradictEachOtherAreRefused() {
    assertRefused(
        "ppo.kl must be above 0 with kl-target 1.0, not 0", "ppo.kl=0", "ppo.kl-target=1");
    assertEquals(0, load("ppo.kl=0").section(PpoSection.class).kl());
    assertRefused(
        "ppo.max-update-kl must be 0 with a single update of an iteration, not 0.1",
        "ppo.mini-batch-size=512",
        "ppo.max-update-kl=0.1");
    assertEquals(
        2,
        load("ppo.mini-batch-size=512", "ppo.max-update-kl=0.1", "ppo.epochs=2")
            .section(PpoSection.class)
            .epochs());
    assertRefused(
        "rollout.batch-size 65536 × (max-prompt-tokens + max-tokens = 2097152) is too large",
        "rollout.batch-size=65536",
        "rollout.max-prompt-tokens=1048576",
        "rollout.max-tokens=1048576");
    assertEquals(
        1_048_576,
        load("rollout.max-prompt-tokens=1048576", "rollout.max-tokens=1048576")
            .section(RolloutSection.class)
            .maxTokens());
    assertRefused(
        "supervised.warmup-steps must be below schedule-steps, not 80 with 80",
        "supervised.warmup-steps=80",
        "supervised.schedule-steps=80");
  }

  @Test
  void whatAnotherEngineCannotHonourIsRefused() {
    String[] engine = {"rollout.engine=openai", "rollout.openai-url=https://gpu1:8000/v1/"};
    assertEquals("https://gpu1:8000/v1/", load(engine).section(RolloutSection.class).openaiUrl());
    assertRefused("rollout.openai-url is missing", engine[0]);
    for (String url :
        List.of(
            "gpu1:8000",
            "ftp://gpu1",
            "http://",
            "http://me:s3cret@gpu1",
            "http://gpu1/?key=s3cret",
            "http://a b")) {
      assertRefused(
          "rollout.openai-url must be a URL such as http://gpu1:8000", "rollout.openai-url=" + url);
    }
    assertRefused(
        "rollout.newest-version must be 0 with engine openai, not 3",
        engine[0],
        engine[1],
        "rollout.newest-version=3");
    assertRefused(
        "rollout.kv-cache-tokens must be 0 with engine openai, not 5000",
        engine[0],
        engine[1],
        "rollout.kv-cache-tokens=5000");
  }

  @Test
  void whatMeansNothingWithAMethodOfAdvantagesIsRefused() {
    String[] pairs = {"rollout.samples-per-prompt=2"};
    assertRefused(
        "rollout.samples-per-prompt must be at least 2 with ppo.advantage rloo, not 1",
        "ppo.advantage=rloo");
    assertRefused(
        "rollout.samples-per-prompt must divide ppo.batch-size 512 with ppo.advantage rloo, not 3",
        "ppo.advantage=rloo",
        "rollout.samples-per-prompt=3");
    assertRefused(
        "ppo.kl-in must be loss with advantage grpo, not reward", "ppo.advantage=grpo", pairs[0]);
    load("ppo.advantage=grpo", "ppo.kl=0", pairs[0]);
    assertRefused(
        "ppo.critic-warmup must be 0 with advantage reinforce++, not 3",
        "ppo.advantage=reinforce++",
        "ppo.critic-warmup=3");
    assertRefused(
        "ppo.gamma must be 1 with advantage rloo, not 0.9",
        "ppo.advantage=rloo",
        "ppo.gamma=0.9",
        pairs[0]);
    load("ppo.advantage=Reinforce++", "ppo.gamma=0.9");
    assertRefused(
        "ppo.group-deviation must be true with advantage rloo, not false",
        "ppo.advantage=rloo",
        "ppo.group-deviation=false",
        pairs[0]);
    assertRefused(
        "ppo.whitening must not be prompt with advantage rloo",
        "ppo.advantage=rloo",
        "ppo.whitening=prompt",
        pairs[0]);
    assertRefused("ppo.dual-clip must be above 1, or 0 for none, not 0.5", "ppo.dual-clip=0.5");
    PpoObjective plain = load("ppo.clip=0.1").section(PpoSection.class).objective();
    assertEquals(new PpoObjective(0.1, 0.2), plain);
    assertEquals(
        new PpoObjective(
            0.0003,
            0.0004,
            3,
            PpoObjective.ClipLevel.SEQUENCE,
            PpoObjective.LossMean.RESPONSES,
            0.2),
        load(
                "ppo.clip=0.0003",
                "ppo.clip-high=0.0004",
                "ppo.dual-clip=3",
                "ppo.clip-level=sequence",
                "ppo.loss-mean=responses")
            .section(PpoSection.class)
            .objective());
  }

  @Test
  void aStudentIsNotPublishedUnderTheSamplersName() {
    assertRefused(
        "rejection-sampling.student-name and model.name must differ, both are 'policy'",
        "rejection-sampling.student=small",
        "rejection-sampling.student-name=policy");
  }

  @Test
  void mixesThatCannotBeAreRefusedWithTheirKey() {
    String message =
        problems("reward-model.helpfulness.mixing.own=much", "reward-model.safety.mixing.own=-1");
    assertTrue(
        message.contains(
            "reward-model.helpfulness.mixing.own must be a number above 0 and at most 1e6, not"
                + " 'much'"),
        message);
    assertTrue(
        message.contains(
            "reward-model.safety.mixing.own must be a number above 0 and at most 1e6, not"
                + " '-1'"),
        message);
    assertRefused(
        "reward-model.safety.mixing (with batch-size): source open has 0.0100 of a batch of 32,"
            + " which is less than one record",
        "reward-model.batch-size=32",
        "reward-model.safety.mixing.own=0.99",
        "reward-model.safety.mixing.open=0.01");
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
    assertTrue(e.getMessage().contains("ppo.kl must be a number from 0 to 1000, not 'much'"));
    assertTrue(e.getMessage().contains("flink.checkpoint-interval must be a duration"));
    assertTrue(e.getMessage().contains("reward-model.margin must be one of none, small, large"));
    assertTrue(
        e.getMessage().contains("rollout.temperature must be a number from 0.01 to 100, not '0'"));
    assertTrue(e.getMessage().contains("--set must be section.key=value, not 'novalue'"));
    assertTrue(e.getMessage().contains("flink.restart-delay must be a duration from 1ms to 1m"));
  }

  @Test
  void ppoRefusesTruncatedSampling() {
    assertRefused("rollout.top-p must be 1 for PPO, not 0.9", "rollout.top-p=0.9");
    assertEquals(
        0.9,
        load("rollout.top-p=0.9", "ppo.require-full-sampling=false")
            .section(RolloutSection.class)
            .topP());
  }

  @Test
  void theTransactionTimeoutSpansFlinkCheckpoints() {
    MillraceConfig _ = load("flink.checkpoint-interval=450s");
    for (String[] settings :
        new String[][] {
          {"flink.checkpoint-interval=20m"},
          {"flink.checkpoint-interval=451s"},
          {"kafka.properties.transaction.timeout.ms=5000"},
          {"flink.checkpoint-interval=20m", "kafka.properties.transaction.timeout.ms=900000"},
        }) {
      ConfigException e = assertThrows(ConfigException.class, () -> load(settings));
      assertTrue(
          e.getMessage().contains("kafka.properties.transaction.timeout.ms is ")
              && e.getMessage().contains("flink.checkpoint-interval = "),
          e.getMessage());
    }
    MillraceConfig _ =
        load("flink.checkpoint-interval=20m", "kafka.properties.transaction.timeout.ms=2400000");
  }

  @Test
  void aFileThatIsNoConfigurationIsReportedInOneLine(@TempDir Path directory) throws Exception {
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

package io.millrace.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.campaign.CampaignSection;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.ConfigSections;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.evaluation.EvaluationJob;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.ppo.PpoJob;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.preference.PreferenceJob;
import io.millrace.jobs.rejection.RejectionSamplingJob;
import io.millrace.jobs.rewardmodel.RewardModelJob;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.supervised.SupervisedJob;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.apache.flink.streaming.api.graph.StreamNode;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The sections that travel to the cluster inside a job's operators. */
class OperatorConfigTest {

  private static final Map<Job, List<Class<? extends ConfigSection>>> SECTIONS =
      Map.of(
          Job.SUPERVISED, SupervisedJob.SECTIONS,
          Job.REWARD_MODEL, RewardModelJob.SECTIONS,
          // The section of ppo, where there is one, paces the sampling.
          Job.ROLLOUT, List.of(RolloutSection.class, PpoSection.class),
          Job.PPO, PpoJob.SECTIONS,
          Job.PREFERENCE, PreferenceJob.SECTIONS,
          Job.REJECTION_SAMPLING, RejectionSamplingJob.SECTIONS,
          Job.EVALUATION, EvaluationJob.SECTIONS);

  @TempDir private static Path directory;
  private static MillraceConfig config;

  @BeforeAll
  static void makeModel() throws IOException {
    Path prompts =
        Files.writeString(
            directory.resolve("held-out.jsonl"),
            "{\"promptId\":\"p1\",\"dialogue\":[{\"role\":\"USER\",\"content\":\"Hi\"}]}\n");
    Path secret = Files.writeString(directory.resolve("secret"), "s3cret\n");
    config =
        InitialModel.ensure(
            ConfigLoader.load(
                Optional.empty(),
                List.of(
                    "checkpoints.directory=" + directory,
                    "model.hidden-size=16",
                    "model.layers=1",
                    "model.ffn-size=24",
                    "evaluation.prompts=" + prompts,
                    "evaluation.gate.max-perplexity-ratio=1e9",
                    "evaluation.gate.safety-tolerance=1",
                    "campaign.directory=/campaign-directory",
                    "kafka.properties.sasl.jaas.config=Login password=${file:" + secret + "}",
                    "evaluation.judge=openai",
                    "evaluation.judge-options.url=http://localhost:1/v1",
                    "evaluation.judge-options.model=m",
                    "evaluation.judge-options.api-key=${file:" + secret + "}",
                    "ppo.safety-classifier=io.millrace.jobs.safety.KeywordSafetyClassifier",
                    "ppo.safety-classifier-options.keywords=${file:" + secret + "}",
                    "flink.properties.s3.secret-key=s3cret")));
  }

  /** Every operator of a job as it goes to the cluster; class names and texts stand in it. */
  private static String serialized(Job job) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
      for (StreamNode node : job.graph(config, false).getStreamNodes()) {
        out.writeObject(node.getOperatorFactory());
      }
    }
    return bytes.toString(StandardCharsets.ISO_8859_1);
  }

  @ParameterizedTest
  @EnumSource
  void operatorsCarryTheSectionsThatTheirJobReadsAndNoOthers(Job job) throws IOException {
    String operators = serialized(job);
    Set<String> expected = new TreeSet<>();
    Stream.concat(ConfigSections.SHARED.values().stream(), SECTIONS.get(job).stream())
        .forEach(type -> expected.add(type.getName()));
    Set<String> carried = new TreeSet<>();
    for (Class<?> type : ConfigSections.all().values()) {
      if (operators.contains(type.getName())) {
        carried.add(type.getName());
      }
    }
    assertEquals(expected, carried);
    assertFalse(operators.contains("/campaign-directory"));
    assertFalse(operators.contains("s3cret"), "flink.properties travel with the job");
    assertTrue(operators.contains(directory.toString()), "checkpoints.directory is missing");
  }

  @Test
  void theConfigurationItselfHasTheCampaignAndTheSecret() {
    assertEquals("/campaign-directory", config.section(CampaignSection.class).directory());
    assertEquals(Map.of("s3.secret-key", "s3cret"), config.flink().properties());
  }
}

package io.millrace.campaign;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.campaign.CampaignSection.AnnotatedBy;
import io.millrace.demo.loop.Progress;
import io.millrace.jobs.config.ConfigException;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.rejection.RejectionSamplingSection;
import io.millrace.jobs.rewardmodel.RewardModelSection;
import io.millrace.jobs.supervised.SupervisedSection;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CampaignSectionTest {

  @TempDir private Path directory;

  private static MillraceConfig load(String... settings) {
    return ConfigLoader.load(Optional.empty(), List.of(settings));
  }

  private Campaign campaign(String... settings) {
    return new Campaign(
        ConfigLoader.tree(Optional.empty())
            .with(List.of(settings))
            .with(List.of("campaign.directory=" + directory)),
        new Progress(new PrintStream(OutputStream.nullOutputStream())));
  }

  @Test
  void everyDefaultIsTheDocumentedOne() {
    assertEquals(
        new CampaignSection(
            "millrace-data/campaign",
            AnnotatedBy.DEMO,
            5,
            4,
            256,
            30,
            128,
            16,
            3200,
            32_768,
            200,
            true),
        load().section(CampaignSection.class));
  }

  @Test
  void theJobsAcceptWhatTheStagesSet() {
    MillraceConfig config =
        load(
            "supervised.publish-every" + JobStage.NEVER,
            "reward-model.publish-every" + JobStage.NEVER,
            "rejection-sampling.prompts-per-version" + JobStage.NEVER);
    assertEquals(1_000_000_000, config.section(SupervisedSection.class).publishEvery());
    assertEquals(1_000_000_000, config.section(RewardModelSection.class).publishEvery());
    assertEquals(1_000_000_000, config.section(RejectionSamplingSection.class).promptsPerVersion());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "campaign.versions=0 |"
            + " campaign.versions must be a whole number from 1 to 1000, not '0'",
        "campaign.pairs=129 | campaign.pairs must be a whole number from 1 to 128, not '129'",
        "campaign.annotators=people |"
            + " campaign.annotators must be one of demo, external, not 'people'",
        "campaign.directory=s3://bucket/x |"
            + " campaign.directory must be a path on this machine, not 's3://bucket/x'",
        "campaign.version=3 | unknown key campaign.version: did you mean campaign.versions?"
      })
  void aBadValueIsRefusedWithItsKey(String setting, String problem) {
    String message = assertThrows(ConfigException.class, () -> load(setting)).getMessage();
    assertEquals(problem, message);
  }

  @Test
  void theDemoWorldSendsThePromptsThatPpoNeeds() {
    assertEquals(directory, campaign("rollout.samples-per-prompt=4").directory());
    assertRefused(
        "rollout.samples-per-prompt must divide ppo.batch-size 64 in a campaign on the demo world,"
            + " not 3",
        "rollout.samples-per-prompt=3");
    assertRefused(
        "campaign.ppo-iterations must be at most 15625 with ppo.batch-size 64 and"
            + " rollout.samples-per-prompt 2, not 15626",
        "campaign.ppo-iterations=15626");
    assertEquals(directory, campaign("campaign.ppo-iterations=15625").directory());
    assertRefused(
        "ppo.score-batch-size must divide the 600 rollouts that are judged of a version (2 times"
            + " campaign.pairs 1 times campaign.prompts 300) and the 1920 that PPO learns from, not"
            + " be 64: the last rollouts would wait for a full batch",
        "campaign.pairs=1",
        "campaign.prompts=300");
    assertEquals(directory, campaign("campaign.pairs=1", "campaign.prompts=320").directory());
    assertRefused(
        "ppo.held-out-share must be 0 in a campaign on the demo world, not 0.1",
        "ppo.held-out-share=0.1");
  }

  @ParameterizedTest
  @ValueSource(strings = {"campaign.annotators=external", "campaign.ppo-from-version=6"})
  void withoutPpoOnTheDemoWorldAnyNumberOfSamplesGoes(String setting) {
    assertEquals(directory, campaign(setting, "rollout.samples-per-prompt=3").directory());
  }

  private void assertRefused(String problem, String... settings) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> campaign(settings)).getMessage();
    assertTrue(message.equals(problem), message);
  }
}

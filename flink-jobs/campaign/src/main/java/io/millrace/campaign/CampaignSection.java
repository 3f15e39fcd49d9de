package io.millrace.campaign;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.Option;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.rollout.RolloutSection;

/** A campaign of {@code millrace campaign}: RLHF-V1, V2, … in turn (Llama 2, section 3.2). */
public record CampaignSection(
    @Option(
            value = "millrace-data/campaign",
            help =
                "Directory of `campaign.json` and, with `annotators: demo`, of all other data. A"
                    + " campaign that starts again on its directory continues there.",
            required = true,
            path = true,
            local = true)
        String directory,
    @Option(
            value = "demo",
            help =
                "`demo`: everything runs in this process on the demo world, with simulated"
                    + " annotators; `external`: the campaign uses your Kafka and waits for your"
                    + " annotators' judgments.")
        AnnotatedBy annotators,
    @Option(
            value = "5",
            help = "Policy versions after the chat checkpoint.",
            min = "1",
            max = "1000")
        int versions,
    @Option(
            value = "4",
            help = "First version at which PPO follows rejection sampling.",
            min = "1",
            max = "1_000_000")
        int ppoFromVersion,
    @Option(
            value = "256",
            help =
                "Judgments that each version waits for; each compares a sample of the latest policy"
                    + " with another one of its samples or with another policy's.",
            min = "1",
            max = "1_000_000_000")
        long judgments,
    @Option(value = "30", help = "PPO iterations of a version.", min = "1", max = "1_000_000")
        long ppoIterations,
    @Option(
            value = "128",
            help = "`demo`: prompts of a version, for the annotators and for rejection sampling.",
            min = "1",
            max = "500_000")
        int prompts,
    @Option(
            value = "16",
            help =
                "`demo`: pairs of the latest policy's samples that the annotators judge for each"
                    + " prompt.",
            min = "1",
            max = "128")
        int pairs,
    @Option(
            value = "3200",
            help = "`demo`: demonstrations for the chat checkpoint.",
            min = "1",
            max = "1_000_000")
        int demonstrations,
    @Option(
            value = "32768",
            help =
                "`demo`: helpfulness judgments before the first version, between responses that"
                    + " people wrote, and half as many safety judgments; 0 skips both.",
            min = "0",
            max = "1_000_000")
        int archive,
    @Option(
            value = "200",
            help = "`demo`: held-out prompts of each kind for the gold reward.",
            min = "1",
            max = "100_000")
        int heldOut,
    @Option(
            value = "true",
            help =
                "`demo`: at the last version, compares the policy with one that learned from the"
                    + " last version's samples only.")
        boolean compareBags)
    implements ConfigSection {

  /** The demo world numbers a version's prompts for PPO from 500,000 to 999,999. */
  private static final long MAX_PPO_PROMPTS = 500_000;

  /** Source of the judgments. */
  public enum AnnotatedBy {
    DEMO,
    EXTERNAL
  }

  /** Whether the campaign runs on the demo world. */
  public boolean demo() {
    return annotators == AnnotatedBy.DEMO;
  }

  /**
   * Checks the sections for PPO on the demo world. The campaign sends exactly the prompts that the
   * iterations need, so every rollout must be learned from.
   *
   * @throws IllegalArgumentException with the full key
   */
  void checkDemo(MillraceConfig config) {
    if (!demo() || versions < ppoFromVersion) {
      return;
    }
    int batch = config.section(PpoSection.class).batchSize();
    int samples = config.section(RolloutSection.class).samplesPerPrompt();
    if (batch % samples != 0) {
      throw new IllegalArgumentException(
          "rollout.samples-per-prompt must divide ppo.batch-size %d in a campaign on the demo world, not %d"
              .formatted(batch, samples));
    }
    long perVersion = ppoIterations * (batch / samples);
    if (perVersion > MAX_PPO_PROMPTS) {
      throw new IllegalArgumentException(
          "campaign.ppo-iterations must be at most %d with ppo.batch-size %d and rollout.samples-per-prompt %d, not %d"
              .formatted(MAX_PPO_PROMPTS / (batch / samples), batch, samples, ppoIterations));
    }
    int scored = config.section(PpoSection.class).scoreBatchSize();
    long judged = 2L * pairs * prompts;
    if (judged % scored != 0 || ppoIterations * (long) batch % scored != 0) {
      throw new IllegalArgumentException(
          ("ppo.score-batch-size must divide the %d rollouts that are judged of a version (2 times"
                  + " campaign.pairs %d times campaign.prompts %d) and the %d that PPO learns from,"
                  + " not be %d: the last rollouts would wait for a full batch")
              .formatted(judged, pairs, prompts, ppoIterations * (long) batch, scored));
    }
    double heldOutShare = config.section(PpoSection.class).heldOutShare();
    if (heldOutShare > 0) {
      throw new IllegalArgumentException(
          "ppo.held-out-share must be 0 in a campaign on the demo world, not " + heldOutShare);
    }
  }
}

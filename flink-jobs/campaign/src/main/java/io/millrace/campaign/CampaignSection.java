package io.millrace.campaign;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.Option;

/**
 * Versions of a policy one after the other (Llama 2, section 3.2), by {@code millrace campaign}.
 */
public record CampaignSection(
    @Option(
            value = "millrace-data/campaign",
            help =
                "Directory of campaign.json and, in the demo world, of all else. A campaign that is"
                    + " started again on its directory goes on where it was.",
            required = true,
            path = true)
        String directory,
    @Option(
            value = "demo",
            help =
                "demo: everything in this process, on the demo world, with simulated annotators;"
                    + " external: on your own Kafka, waiting for your annotators' judgments.")
        AnnotatedBy annotators,
    @Option(value = "5", help = "How many versions follow the chat checkpoint.", min = "1")
        int versions,
    @Option(value = "4", help = "From this version on PPO follows rejection sampling.", min = "1")
        int ppoFromVersion,
    @Option(
            value = "256",
            help =
                "Judgments that a version waits for, of samples of the latest policy; judgments of"
                    + " two of its samples, or of one beside another policy's.",
            min = "1")
        long judgments,
    @Option(value = "30", help = "PPO iterations of a version.", min = "1") long ppoIterations,
    @Option(
            value = "128",
            help =
                "Demo world: prompts of a version, answered for the annotators, and K times by"
                    + " rejection sampling. External: those that the job rollout answers while"
                    + " judgments are waited for.",
            min = "1")
        int prompts,
    @Option(
            value = "16",
            help =
                "Demo world: pairs of the latest policy's samples, of each prompt, that the"
                    + " annotators judge.",
            min = "1")
        int pairs,
    @Option(
            value = "3200",
            help = "Demo world: demonstrations that the chat checkpoint imitates.",
            min = "1")
        int demonstrations,
    @Option(
            value = "32768",
            help =
                "Demo world: helpfulness judgments between responses that people wrote, there"
                    + " before the first version; half as many on safety. 0: none.",
            min = "0")
        int archive,
    @Option(
            value = "200",
            help = "Demo world: held-out prompts of each kind that gold reward is taken on.",
            min = "1")
        int heldOut,
    @Option(
            value = "true",
            help =
                "Demo world: at the last version a second policy learns from the last version's"
                    + " samples only, to be compared with the one that learned from all.")
        boolean compareBags)
    implements ConfigSection {

  /** Whose judgments a campaign goes by. */
  public enum AnnotatedBy {
    DEMO,
    EXTERNAL
  }

  /** Whether the whole world is simulated. */
  public boolean demo() {
    return annotators == AnnotatedBy.DEMO;
  }
}

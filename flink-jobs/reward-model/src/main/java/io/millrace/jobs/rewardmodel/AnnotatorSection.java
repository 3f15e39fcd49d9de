package io.millrace.jobs.rewardmodel;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.Option;
import java.util.List;

/** How reliable annotators and sources of judgments are, and what follows from it. */
public record AnnotatorSection(
    @Option(
            value = "none",
            help =
                "Weight of a judgment in the reward models' losses: `reliability` max(0, 2r - 1),"
                    + " where r is the probability that its annotator names the better response;"
                    + " `none` 1. The reliability is estimated and reported in any case.")
        Weighting weighting,
    @Option(
            value = "500",
            help =
                "Judgments of an annotator or a source after which one counts a third of what it"
                    + " did: people and sources change.",
            min = "10",
            max = "1_000_000")
        int window,
    @Option(
            value = "",
            help =
                "File of judgments (JSON Lines) whose choice is known to be right. An annotator's"
                    + " judgment of the same prompt and responses is a test of the annotator, and"
                    + " nothing is learned from it.",
            path = true)
        String goldTasks,
    @Option(
            value = "0.5",
            help =
                "A source is held back, with an alarm, where its weight is below this share of the"
                    + " other sources' weight with a probability of 99.9 %. Its judgments wait"
                    + " until it is released by hand; 0 holds none back.",
            min = "0",
            max = "1")
        double holdSourcesBelow,
    @Option(
            value = "",
            help =
                "Sources that are never held back. To release a source, name it here and start the"
                    + " job again: it learns from the judgments that waited.")
        List<String> releasedSources,
    @Option(
            value = "4096",
            help =
                "Judgments of held-back sources that wait in each reward model's state; beyond them"
                    + " the oldest are dropped and counted.",
            min = "1",
            max = "1_000_000")
        int heldJudgments)
    implements ConfigSection {

  /** What a judgment weighs in the losses. */
  public enum Weighting {
    /** All the same. */
    NONE,
    /** By its annotator's reliability. */
    RELIABILITY
  }
}

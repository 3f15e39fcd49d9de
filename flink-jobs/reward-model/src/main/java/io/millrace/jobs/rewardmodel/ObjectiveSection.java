package io.millrace.jobs.rewardmodel;

import io.millrace.jobs.config.Option;
import io.millrace.jobs.config.Require;
import io.millrace.model.reward.SourceRatios;
import java.io.Serializable;
import java.util.Map;

/** The judgments of one reward model. */
public record ObjectiveSection(
    @Option(
            value = "",
            help =
                "Ratio of the sources in a batch, such as `own: 0.9` and `open: 0.1`; without keys"
                    + " a batch takes judgments as they come. The key `*` stands for all other"
                    + " sources. `helpfulness/own` or `safety/*` adds judgments of the other"
                    + " objective. Judgments without a matching key go to `dead-letters`.",
            above = "0",
            max = "1e6")
        Map<String, Double> mixing,
    @Option(
            value = "0",
            help =
                "Total number of judgments, if it is known: the learning rate warms up and falls by"
                    + " cosine to a tenth over them, and the last one publishes a checkpoint. 0"
                    + " keeps the learning rate constant.",
            min = "0",
            max = "1_000_000_000")
        long scheduleJudgments)
    implements Serializable {

  public ObjectiveSection {
    mixing = Map.copyOf(mixing);
    Map<String, Double> ratios = mixing;
    Require.accepted("mixing", () -> ratios(ratios));
  }

  /** Ratio of the sources in a batch. */
  public SourceRatios ratios() {
    return ratios(mixing);
  }

  private static SourceRatios ratios(Map<String, Double> mixing) {
    return mixing.isEmpty() ? SourceRatios.asTheyCome() : SourceRatios.of(mixing);
  }
}

package io.millrace.jobs.rewardmodel;

import io.millrace.jobs.config.Option;
import io.millrace.jobs.config.Require;
import io.millrace.model.reward.SourceRatios;
import java.io.Serializable;
import java.util.Map;

/** What one reward model learns from. */
public record ObjectiveSection(
    @Option(
            value = "",
            help =
                "The ratio of sources in a batch, such as own: 0.9 and open: 0.1; none takes"
                    + " judgments as they come. The key * stands for the sources not named, and"
                    + " helpfulness/own or safety/* bring in the other objective's judgments."
                    + " Judgments that no key fits go to dead-letters.")
        Map<String, Double> mixing,
    @Option(
            value = "0",
            help =
                "How many judgments there will be: over them the learning rate warms up and falls"
                    + " to a tenth by cosine, and with the last one a checkpoint is published. 0,"
                    + " for an endless stream, keeps it constant.",
            min = "0")
        long scheduleJudgments)
    implements Serializable {

  public ObjectiveSection {
    mixing = Map.copyOf(mixing);
    Map<String, Double> ratios = mixing;
    Require.accepted("mixing", () -> ratios(ratios));
  }

  /** The ratio of the sources in a batch. */
  public SourceRatios ratios() {
    return ratios(mixing);
  }

  private static SourceRatios ratios(Map<String, Double> mixing) {
    return mixing.isEmpty() ? SourceRatios.asTheyCome() : SourceRatios.of(mixing);
  }
}

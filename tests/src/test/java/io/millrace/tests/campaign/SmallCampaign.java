package io.millrace.tests.campaign;

import java.nio.file.Path;
import java.util.List;

/** A campaign so small that it says nothing of quality, in seconds. */
final class SmallCampaign {

  private SmallCampaign() {}

  static List<String> settings(Path directory, int versions) {
    return List.of(
        "campaign.directory=" + directory,
        "campaign.versions=" + versions,
        "campaign.ppo-from-version=2",
        "campaign.demonstrations=120",
        "campaign.archive=64",
        "campaign.prompts=24",
        "campaign.pairs=2",
        "campaign.judgments=30",
        "campaign.ppo-iterations=2",
        "campaign.held-out=4",
        "flink.checkpoint-interval=100ms",
        "model.hidden-size=32",
        "model.ffn-size=64",
        "model.vocab-size=512",
        "rejection-sampling.samples-per-prompt=4",
        "rejection-sampling.temperatures=0.8,1.2",
        "rejection-sampling.top-share=1.0",
        "ppo.batch-size=16",
        "ppo.mini-batch-size=8",
        "ppo.score-batch-size=16",
        "rollout.max-tokens=16");
  }
}

package io.millrace.tests.campaign;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.campaign.Campaign;
import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CampaignTable;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.campaign.record.StageRecord;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.demo.loop.Progress;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.report.Report;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Versions one after the other, small, on a real broker and cluster, in two lives. */
@Tag("slow")
class CampaignTest {

  private static Campaign campaign(Path directory, int versions, String... more) {
    List<String> settings = new ArrayList<>(SmallCampaign.settings(directory, versions));
    settings.addAll(List.of(more));
    return new Campaign(
        ConfigLoader.tree(Optional.empty()).with(settings), new Progress(System.out));
  }

  @Test
  void aCampaignGoesOnWithFurtherVersions(@TempDir Path directory) throws Exception {
    CampaignRecord first = campaign(directory, 1).run();
    assertEquals(
        List.of(
            "v0-supervised",
            "v0-archive",
            "v0-gold",
            "v1-judgments",
            "v1-reward-models",
            "v1-rejection-sampling",
            "v1-evaluation",
            "v1-gold"),
        first.stages().stream().map(StageRecord::id).toList());

    IOException other =
        assertThrows(IOException.class, () -> campaign(directory, 1, "ppo.kl=0.5").run());
    assertTrue(other.getMessage().contains("ppo.kl was 0.1, not 0.5"), other.getMessage());

    CampaignRecord record = campaign(directory, 2).run();
    assertEquals(first.stages(), record.stages().subList(0, first.stages().size()));
    assertTrue(record.stages().stream().allMatch(stage -> stage.attempts() == 1));
    assertEquals(
        List.of(
            "v2-judgments",
            "v2-reward-models",
            "v2-rejection-sampling",
            "v2-ppo",
            "v2-evaluation",
            "v2-gold",
            "v2-last-samples-only"),
        record.stages().stream().map(StageRecord::id).toList().subList(8, 15));

    // Policies: chat 1, rejection sampling 2 and 3, then one of each PPO iteration.
    List<Long> policies =
        record.stages().stream()
            .flatMap(stage -> stage.checkpoint(CheckpointRef.POLICY).stream())
            .map(CheckpointRef::version)
            .toList();
    assertEquals(List.of(1L, 2L, 3L, 5L), policies);
    StageRecord ppo = stage(record, "v2-ppo");
    assertEquals(32, ppo.consumed().get("rollouts"));
    assertEquals(2, ppo.produced().get("policies"));
    assertEquals(24, stage(record, "v2-rejection-sampling").consumed().get("prompts"));
    // The second reward models learned from the archive and from both versions' judgments.
    long archive = 64 + 32;
    long judged =
        stage(record, "v1-judgments").produced().values().stream().mapToLong(n -> n).sum()
            + stage(record, "v2-judgments").produced().values().stream().mapToLong(n -> n).sum();
    assertTrue(judged >= 2 * 30, judged + " judgments of two pairs of 24 prompts");
    assertEquals(
        archive + judged,
        stage(record, "v2-reward-models").consumed().values().stream().mapToLong(n -> n).sum());
    assertEquals(2, stage(record, "v2-reward-models").checkpoint("safety").orElseThrow().version());

    for (StageRecord stage : record.stages()) {
      for (CheckpointRef checkpoint : stage.checkpoints()) {
        Path files = CheckpointStore.resolve(checkpoint.uri(), checkpoint.manifestSha256());
        assertTrue(CheckpointDirectory.verify(files).isSound(), checkpoint.toString());
      }
    }
    assertTrue(
        CampaignTable.lines(record).stream().anyMatch(line -> line.contains("RLHF-V2 ")),
        String.join("\n", CampaignTable.lines(record)));
    assertTrue(Report.ofCampaign(directory).html().contains("RLHF-V2"));
  }

  private static StageRecord stage(CampaignRecord record, String id) {
    return record.stages().stream().filter(s -> s.id().equals(id)).findFirst().orElseThrow();
  }
}

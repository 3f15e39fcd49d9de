package io.millrace.campaign;

import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.campaign.record.StageResult;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.CheckpointOutline;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** Takes the chat checkpoint from model.initial, where that option is set. */
final class ChatStage implements Stage {

  private final CampaignContext context;

  ChatStage(CampaignContext context) {
    this.context = context;
  }

  @Override
  public String id() {
    return JobStage.id(0, "chat");
  }

  @Override
  public int version() {
    return 0;
  }

  @Override
  public String title() {
    return "the chat checkpoint " + context.config().model().initial();
  }

  @Override
  public Map<String, Long> begin(CampaignRecord record) {
    return Map.of();
  }

  @Override
  public StageResult run(CampaignRecord record, Map<String, Long> start) throws Exception {
    String initial = context.config().model().initial();
    try (LocalCheckpoint files = JobSettings.cache(context.config()).openDescription(initial)) {
      Path manifest = files.directory().resolve(CheckpointManifest.FILE_NAME);
      String digest =
          Files.exists(manifest) ? CheckpointDirectory.manifestDigest(files.directory()) : "";
      CheckpointRef chat =
          new CheckpointRef(
              CheckpointRef.POLICY,
              context.config().model().name(),
              CheckpointOutline.read(files.directory())
                  .manifest()
                  .map(CheckpointManifest::version)
                  .orElse(0L),
              CheckpointStore.isLocal(initial) ? Path.of(initial).toUri().toString() : initial,
              digest);
      return StageResult.builder().checkpoint(chat).build();
    }
  }
}

package io.millrace.jobs.campaign;

import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointManifest;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/** The chat checkpoint, where model.initial names one. */
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
  public Result run(CampaignRecord record, Map<String, Long> start) throws Exception {
    Path directory = Path.of(context.config().model().initial());
    try (CheckpointDirectory checkpoint = CheckpointDirectory.open(directory)) {
      Path manifest = directory.resolve(CheckpointManifest.FILE_NAME);
      String digest =
          Files.exists(manifest)
              ? HexFormat.of()
                  .formatHex(
                      MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(manifest)))
              : "";
      CheckpointRef chat =
          new CheckpointRef(
              CheckpointRef.POLICY,
              context.config().model().name(),
              checkpoint.manifest().map(CheckpointManifest::version).orElse(0L),
              directory.toUri().toString(),
              digest);
      return Result.of(Map.of(), Map.of(), List.of(chat), Map.of());
    }
  }
}

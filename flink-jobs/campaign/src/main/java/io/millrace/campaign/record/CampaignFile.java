package io.millrace.campaign.record;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Optional;

/** Where the record of a campaign is kept: replaced whole, so that it is never half written. */
public final class CampaignFile {

  /** The file's name in the campaign's directory. */
  public static final String NAME = "campaign.json";

  /** What the gate said of its versions, as JSON Lines, where they were evaluated. */
  public static final String PROMOTIONS = "promotions.jsonl";

  private static final ObjectMapper JSON =
      new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);

  private final Path file;

  /** The record in a campaign's directory. */
  public CampaignFile(Path directory) {
    this.file = directory.resolve(NAME);
  }

  /**
   * The record; empty where there is none.
   *
   * @throws IOException where the file is no record
   */
  public Optional<CampaignRecord> read() throws IOException {
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    try {
      JsonNode root = JSON.readTree(Files.readAllBytes(file));
      int format = root.path("format").asInt();
      if (format != CampaignRecord.FORMAT) {
        throw new IOException(
            "%s is no record of a campaign, or of another format than %d"
                .formatted(file, CampaignRecord.FORMAT));
      }
      return Optional.of(JSON.treeToValue(root, CampaignRecord.class));
    } catch (JsonProcessingException e) {
      throw new IOException(
          "%s is no record of a campaign: %s".formatted(file, e.getOriginalMessage()), e);
    }
  }

  /** Where a stage's training metrics are kept, as JSON Lines. */
  public static Path metrics(Path directory, String stage) {
    return directory.resolve("metrics").resolve(stage + ".jsonl");
  }

  public void write(CampaignRecord record) throws IOException {
    replace(file, JSON.writeValueAsBytes(record));
  }

  /** Makes a file hold the bytes, whatever happens: those before, or these. */
  public static void replace(Path file, byte[] bytes) throws IOException {
    Path next = file.resolveSibling(file.getFileName() + ".next");
    try (FileChannel channel =
        FileChannel.open(
            next,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      ByteBuffer buffer = ByteBuffer.wrap(bytes);
      while (buffer.hasRemaining()) {
        int _ = channel.write(buffer);
      }
      channel.force(true);
    }
    Files.move(next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }
}

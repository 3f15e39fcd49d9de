package io.millrace.campaign.record;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.millrace.schemas.PlainFiles;
import io.millrace.schemas.wire.JsonProblem;
import io.millrace.schemas.wire.MillraceJson;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Optional;

/** The files of a campaign's directory. Each is replaced as a whole and is never half written. */
public final class CampaignFile {
  /** Most bytes of a record. */
  private static final int MOST_BYTES = 64 << 20;

  /** The record of the campaign. */
  public static final String NAME = "campaign.json";

  /** The gate's verdicts on the campaign's versions, as JSON Lines. */
  public static final String PROMOTIONS = "promotions.jsonl";

  private static final ObjectMapper JSON =
      MillraceJson.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

  private final Path file;

  /** The record in a campaign's directory. */
  public CampaignFile(Path directory) {
    this.file = directory.resolve(NAME);
  }

  /**
   * The record; empty where there is no file.
   *
   * @throws IOException where the file holds no record, or a record in another format
   */
  public Optional<CampaignRecord> read() throws IOException {
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    try {
      JsonNode root = JSON.readTree(PlainFiles.read(file, MOST_BYTES));
      JsonNode format = root.path("format");
      if (!format.isInt() || format.intValue() != CampaignRecord.FORMAT) {
        throw new IOException(
            "%s is no record of a campaign: format is %s but must be %d"
                .formatted(
                    file, format.isMissingNode() ? "missing" : format, CampaignRecord.FORMAT));
      }
      return Optional.of(JSON.treeToValue(root, CampaignRecord.class));
    } catch (JsonProcessingException e) {
      throw new IOException(
          "%s is no record of a campaign: %s".formatted(file, JsonProblem.of(e)), e);
    }
  }

  /** The file of a stage's training metrics, as JSON Lines. */
  public static Path metrics(Path directory, String stage) {
    return directory.resolve("metrics").resolve(stage + ".jsonl");
  }

  /** Replaces the record. */
  public void write(CampaignRecord record) throws IOException {
    replace(file, JSON.writeValueAsBytes(record));
  }

  /** Replaces a file. After a crash it holds either the former bytes or these. */
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

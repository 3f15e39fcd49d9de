package io.millrace.jobs.resume;

import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.schemas.Sha256;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.List;
import java.util.stream.Stream;

/** Recognises a model by its files, without reading all of its weights. */
final class ModelDigest {

  /** Bytes that are read at both ends of a file. */
  private static final int ENDS = 1 << 20;

  private ModelDigest() {}

  /**
   * The digest of Millrace's manifest, which holds the digest of each file; for another directory,
   * of the names, the sizes and both ends of its files.
   */
  static String of(Path directory) throws IOException {
    if (Files.exists(directory.resolve(CheckpointManifest.FILE_NAME))) {
      return CheckpointDirectory.manifestDigest(directory);
    }
    List<Path> files;
    try (Stream<Path> list = Files.list(directory)) {
      files =
          list.filter(file -> file.toString().matches(".*\\.(json|safetensors)")).sorted().toList();
    }
    MessageDigest digest = Sha256.newDigest();
    for (Path file : files) {
      long size = Files.size(file);
      digest.update("%s %d\n".formatted(file.getFileName(), size).getBytes(StandardCharsets.UTF_8));
      try (FileChannel channel = FileChannel.open(file)) {
        update(digest, channel, 0);
        update(digest, channel, Math.max(0, size - ENDS));
      }
    }
    return Sha256.finish(digest);
  }

  private static void update(MessageDigest digest, FileChannel channel, long position)
      throws IOException {
    ByteBuffer end = ByteBuffer.allocate(ENDS);
    channel.position(position);
    while (end.hasRemaining() && channel.read(end) >= 0) {
      // Until it is full, or the file ends.
    }
    digest.update(end.flip());
  }
}

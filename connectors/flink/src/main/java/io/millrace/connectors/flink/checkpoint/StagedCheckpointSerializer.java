package io.millrace.connectors.flink.checkpoint;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.checkpoint.store.StagedFiles;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** The format of staged checkpoints in Flink state. */
final class StagedCheckpointSerializer implements SimpleVersionedSerializer<StagedCheckpoint> {
  private static final int VERSION = 1;

  @Override
  public int getVersion() {
    return VERSION;
  }

  @Override
  public byte[] serialize(StagedCheckpoint staged) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    StagedFiles files = staged.files();
    out.writeUTF(files.name());
    out.writeLong(files.version());
    out.writeUTF(files.stagedUri());
    out.writeUTF(files.finalUri());
    out.writeUTF(files.manifestSha256());
    out.writeUTF(staged.topic());
    write(out, staged.key());
    write(out, staged.announcement());
    return bytes.toByteArray();
  }

  @Override
  public StagedCheckpoint deserialize(int version, byte[] serialized) throws IOException {
    if (version != VERSION) {
      throw new IOException(
          "the Flink checkpoint holds staged checkpoints in format %d, and this build reads %d; restore it with a newer build"
              .formatted(version, VERSION));
    }
    DataInputStream in = new DataInputStream(new ByteArrayInputStream(serialized));
    StagedFiles files =
        new StagedFiles(in.readUTF(), in.readLong(), in.readUTF(), in.readUTF(), in.readUTF());
    return new StagedCheckpoint(files, in.readUTF(), read(in), read(in));
  }

  private static void write(DataOutputStream out, byte[] bytes) throws IOException {
    out.writeInt(bytes.length);
    out.write(bytes);
  }

  private static byte[] read(DataInputStream in) throws IOException {
    int length = in.readInt();
    if (length < 0 || length > in.available()) {
      throw new IOException(
          "a staged checkpoint in Flink state is damaged: a field has %d bytes, and %d are left; restore an earlier Flink checkpoint"
              .formatted(length, in.available()));
    }
    return in.readNBytes(length);
  }
}

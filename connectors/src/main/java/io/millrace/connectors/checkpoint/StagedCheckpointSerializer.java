package io.millrace.connectors.checkpoint;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** Staged checkpoints in Flink checkpoints. */
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
    out.writeUTF(staged.name);
    out.writeLong(staged.version);
    out.writeUTF(staged.stagedDirectory);
    out.writeUTF(staged.finalDirectory);
    out.writeUTF(staged.manifestSha256);
    out.writeUTF(staged.topic);
    out.writeInt(staged.announcement.length);
    out.write(staged.announcement);
    return bytes.toByteArray();
  }

  @Override
  public StagedCheckpoint deserialize(int version, byte[] bytes) throws IOException {
    if (version != VERSION) {
      throw new IOException("staged checkpoint of version " + version + ", not " + VERSION);
    }
    DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes));
    StagedCheckpoint staged = new StagedCheckpoint();
    staged.name = in.readUTF();
    staged.version = in.readLong();
    staged.stagedDirectory = in.readUTF();
    staged.finalDirectory = in.readUTF();
    staged.manifestSha256 = in.readUTF();
    staged.topic = in.readUTF();
    staged.announcement = new byte[in.readInt()];
    in.readFully(staged.announcement);
    return staged;
  }
}

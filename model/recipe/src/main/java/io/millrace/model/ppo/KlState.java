package io.millrace.model.ppo;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/** A controller's state as bytes: its kind, then β. */
record KlState(boolean adaptive, double beta) {

  private static final byte FIXED = 1;
  private static final byte ADAPTIVE = 2;

  void write(DataOutput out) throws IOException {
    out.writeByte(adaptive ? ADAPTIVE : FIXED);
    out.writeDouble(beta);
  }

  static KlState read(DataInput in) throws IOException {
    byte kind = in.readByte();
    double beta = in.readDouble();
    if ((kind != FIXED && kind != ADAPTIVE) || !(beta >= 0) || Double.isInfinite(beta)) {
      throw new IOException("not the state of a KL controller: kind " + kind + ", beta " + beta);
    }
    return new KlState(kind == ADAPTIVE, beta);
  }
}

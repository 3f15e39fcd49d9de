package io.millrace.jobs.ppo;

import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.ppo.PpoRollout;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;
import org.apache.avro.reflect.Nullable;

/** What the first updater has the others do. */
enum UpdaterCommand {
  /** {@link Start}, and the state of a {@link io.millrace.model.ppo.PpoTrainer} follow. */
  START,

  /** {@link Begin} follows. */
  BEGIN,

  /** The next step of the batch. */
  STEP,

  /** The first updater writes its state: the others send their moments. */
  STATE,

  /** There is no more to do. */
  END;

  private static final UpdaterCommand[] ALL = values();

  /**
   * The models of the trainer.
   *
   * @param critic {@code config.json} of the critic; null without one
   * @param criticAdapter null if the critic has none
   */
  record Start(@Nullable String critic, @Nullable AdapterConfig criticAdapter) {}

  /** The rollouts of a PPO batch. */
  record Begin(List<PpoRollout> rollouts) {}

  void write(DataOutput out) throws IOException {
    out.writeByte(ordinal());
  }

  static UpdaterCommand read(DataInput in) throws IOException {
    int number = in.readByte();
    if (number < 0 || number >= ALL.length) {
      throw new IOException("the first updater sent an unknown command: " + number);
    }
    return ALL[number];
  }
}

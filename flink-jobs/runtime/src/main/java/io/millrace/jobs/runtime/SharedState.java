package io.millrace.jobs.runtime;

import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;

/**
 * State that every subtask of an operator gets whole after a restore, such as the latest announced
 * checkpoints. A subtask that a rescale adds then does not wait for the next announcement.
 */
public interface SharedState {

  /** No shared state. */
  SharedState NONE =
      new SharedState() {
        @Override
        public void write(StateWriter out) {}

        @Override
        public void read(StateReader in) {}
      };

  void write(StateWriter out) throws IOException;

  /** Adds what one subtask wrote. Called once per subtask, after all other state was read. */
  void read(StateReader in) throws IOException;
}

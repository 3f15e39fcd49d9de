package io.millrace.jobs.runtime;

import io.millrace.connectors.flink.TopicInput;
import io.millrace.connectors.flink.source.HoldableSource;
import io.millrace.schemas.Topic;
import org.apache.flink.runtime.jobgraph.tasks.TaskOperatorEventGateway;

/**
 * Lets an operator stop the source of its records while it waits for something else, such as an
 * announcement. The records then wait in Kafka. Called on the task thread.
 */
public final class SourceHold {

  private final TaskOperatorEventGateway gateway;
  private final String source;
  private boolean held;

  /**
   * Begins without a hold, whatever an earlier attempt of this subtask asked for.
   *
   * @param gateway of the operator's task
   * @param topic that the source reads
   */
  SourceHold(TaskOperatorEventGateway gateway, Topic<?> topic) {
    this.gateway = gateway;
    this.source = TopicInput.sourceUid(topic);
    HoldableSource.hold(gateway, source, false);
  }

  /** Holds the source or lets it go. It is held while at least one subtask holds it. */
  public void set(boolean hold) {
    if (hold != held) {
      held = hold;
      HoldableSource.hold(gateway, source, hold);
    }
  }

  /** Whether this subtask holds the source. */
  public boolean isHeld() {
    return held;
  }
}

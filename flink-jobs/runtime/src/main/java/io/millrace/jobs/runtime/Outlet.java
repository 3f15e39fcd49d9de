package io.millrace.jobs.runtime;

import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.runtime.io.network.api.writer.ResultPartitionWriter;

/**
 * Tells an operator that emits of its own accord whether the task's outputs take a record at once.
 * One that emits all the same waits for those downstream, and its task answers no barrier
 * meanwhile.
 */
public final class Outlet {

  private final ResultPartitionWriter[] outputs;
  private final MailboxExecutor mailbox;
  private final Runnable again;

  /** What {@link #again} follows; null where nothing does. */
  private CompletableFuture<?> awaited;

  /**
   * @param outputs of the task
   * @param again what the mailbox does once the outputs that were full take records again
   */
  Outlet(ResultPartitionWriter[] outputs, MailboxExecutor mailbox, Runnable again) {
    this.outputs = outputs;
    this.mailbox = mailbox;
    this.again = again;
  }

  /** Whether there is room for a record; where there is none, the mailbox hears of it later. */
  public boolean isOpen() {
    CompletableFuture<?>[] full =
        Arrays.stream(outputs)
            .filter(output -> !output.isAvailable())
            .map(ResultPartitionWriter::getAvailableFuture)
            .toArray(CompletableFuture<?>[]::new);
    if (full.length == 0) {
      return true;
    }
    if (awaited == null || awaited.isDone()) {
      awaited = CompletableFuture.allOf(full);
      CompletableFuture<?> _ = awaited.thenRun(this::resume);
    }
    return false;
  }

  private void resume() {
    try {
      mailbox.execute(again::run, "outputs take records again");
    } catch (RejectedExecutionException e) {
      // The task is gone already.
    }
  }
}

package io.millrace.jobs.runtime;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.BooleanSupplier;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.runtime.io.network.partition.consumer.IndexedInputGate;

/**
 * Where a record waits until its operator has room, in the task's own thread.
 *
 * <p>While it waits the task reads nothing and takes no Flink checkpoint: mails about that are not
 * for an operator to run. Where one is there, the record is let in for which there is no room, so
 * that the task can turn to it: one record a Flink checkpoint, and what the operator holds is
 * state. The barrier of an unaligned Flink checkpoint overtakes the records before it and is a
 * priority event of its input gate; its arrival ends the wait at once.
 */
public final class Inlet {

  private final IndexedInputGate[] gates;

  /** The arrival of each gate's next priority event, where it is known to wake the mailbox. */
  private final CompletableFuture<?>[] watched;

  private final MailboxExecutor mailbox;

  /**
   * @param gates of the task
   * @param mailbox of the operator
   */
  Inlet(IndexedInputGate[] gates, MailboxExecutor mailbox) {
    this.gates = gates;
    this.watched = new CompletableFuture<?>[gates.length];
    this.mailbox = mailbox;
  }

  /** Runs the operator's mails until there is room, or the task has other mails to run. */
  public void await(BooleanSupplier room) throws InterruptedException {
    while (!room.getAsBoolean()) {
      if (mailbox.tryYield()) {
        continue;
      }
      if (mailbox.shouldInterrupt()) {
        return;
      }
      if (barrierComes()) {
        // Whoever brings it is about to send the mail.
        Thread.onSpinWait();
      } else {
        mailbox.yield();
      }
    }
  }

  /** Whether a barrier has come; where none has, one that comes wakes the mailbox. */
  @SuppressWarnings("ReferenceEquality") // Each priority event has a future of its own.
  private boolean barrierComes() {
    for (int i = 0; i < gates.length; i++) {
      CompletableFuture<?> arrival = gates[i].getPriorityEventAvailableFuture();
      if (arrival.isDone()) {
        return true;
      }
      if (arrival != watched[i]) {
        watched[i] = arrival;
        CompletableFuture<?> _ = arrival.thenRun(this::wake);
      }
    }
    return false;
  }

  /** Ends a yield, called by whichever thread brings the barrier. */
  private void wake() {
    try {
      mailbox.execute(() -> {}, "a barrier waits");
    } catch (RejectedExecutionException e) {
      // The task is gone already.
    }
  }
}

package io.millrace.jobs.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.util.FlinkRuntimeException;
import org.apache.flink.util.function.ThrowingRunnable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Training beside a mailbox; the deadline is for a thread that hangs. */
@Timeout(30)
class BackgroundThreadTest {

  private final Mailbox mailbox = new Mailbox();

  /** Runs mails where it is asked to yield: in the test's thread. */
  private static final class Mailbox implements MailboxExecutor {
    private final BlockingQueue<ThrowingRunnable<? extends Exception>> mails =
        new LinkedBlockingQueue<>();

    @Override
    public void execute(
        MailOptions options,
        ThrowingRunnable<? extends Exception> command,
        String format,
        Object... arguments) {
      mails.add(command);
    }

    @Override
    public void yield() throws InterruptedException {
      run(mails.take());
    }

    @Override
    public boolean tryYield() {
      ThrowingRunnable<? extends Exception> mail = mails.poll();
      if (mail != null) {
        run(mail);
      }
      return mail != null;
    }

    @Override
    public boolean shouldInterrupt() {
      return !mails.isEmpty();
    }

    private static void run(ThrowingRunnable<? extends Exception> mail) {
      try {
        mail.run();
      } catch (Exception e) {
        throw new FlinkRuntimeException(e);
      }
    }
  }

  @Test
  void doesEveryPieceAndThenIsIdle() throws InterruptedException {
    AtomicInteger left = new AtomicInteger();
    AtomicInteger done = new AtomicInteger();
    AtomicInteger aftermaths = new AtomicInteger();
    try (BackgroundThread training =
        new BackgroundThread(
            "training",
            () -> {
              if (left.get() == 0) {
                return false;
              }
              left.decrementAndGet();
              done.incrementAndGet();
              return true;
            },
            mailbox,
            aftermaths::incrementAndGet)) {
      for (int round = 1; round <= 200; round++) {
        left.addAndGet(3);
        training.wake();
        while (!training.isIdle()) {
          mailbox.yield();
        }
        assertEquals(3 * round, done.get());
      }
      // A thread that is faster than its mailbox leaves mails behind.
      while (mailbox.tryYield()) {}
      assertTrue(aftermaths.get() >= 600, "one after each piece, but there were " + aftermaths);
    }
  }

  @Test
  void aPauseWaitsForThePieceThatRunsAndForNoOther() throws InterruptedException {
    AtomicInteger begun = new AtomicInteger();
    CountDownLatch inFirst = new CountDownLatch(1);
    CountDownLatch endFirst = new CountDownLatch(1);
    try (BackgroundThread training =
        new BackgroundThread(
            "training",
            () -> {
              if (begun.incrementAndGet() == 1) {
                inFirst.countDown();
                endFirst.await();
              }
              return true;
            },
            mailbox,
            () -> {})) {
      inFirst.await();
      // Ends the first piece only when somebody already waits for the pause.
      Thread main = Thread.currentThread();
      Thread releaser =
          new Thread(
              () -> {
                while (main.getState() != Thread.State.WAITING) {
                  Thread.onSpinWait();
                }
                endFirst.countDown();
              });
      releaser.start();
      training.pause();
      assertEquals(1, begun.get(), "no second piece before the pause");
      training.pause();
      training.resume();
      releaser.join();
      while (begun.get() < 3) {
        mailbox.yield();
      }
    }
  }

  @Test
  void whatTheWorkThrowsReachesTheMailbox() {
    IllegalStateException cause = new IllegalStateException("broken");
    try (BackgroundThread training =
        new BackgroundThread(
            "training",
            () -> {
              throw cause;
            },
            mailbox,
            () -> {})) {
      assertNotNull(training);
      FlinkRuntimeException e = assertThrows(FlinkRuntimeException.class, mailbox::yield);
      assertSame(cause, e.getCause());
    }
  }

  @Test
  void closingWaitsForThePieceThatRuns() throws InterruptedException {
    CountDownLatch inPiece = new CountDownLatch(1);
    AtomicInteger ended = new AtomicInteger();
    BackgroundThread training =
        new BackgroundThread(
            "training",
            () -> {
              inPiece.countDown();
              // As native code, deaf to interrupts.
              long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(50);
              while (System.nanoTime() < until) {
                Thread.onSpinWait();
              }
              ended.incrementAndGet();
              return true;
            },
            mailbox,
            () -> {});
    inPiece.await();
    assertFalse(training.isIdle());
    training.close();
    assertEquals(1, ended.get());
  }
}

package io.millrace.jobs.ppo;

import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.runtime.Closing;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.parallel.Link;
import io.millrace.model.parallel.Rendezvous;
import io.millrace.model.parallel.StarRanks;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.DivergedException;
import io.millrace.schemas.state.StateReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * The updaters after the first one, with {@code ppo.updaters} above 1: each has a trainer in the
 * state of the first updater's, and does what {@link UpdaterLead} has it do. Subtask i is rank i +
 * 1.
 *
 * <p>It has no Flink state: the first updater's is enough for all, and for another number of them.
 */
public final class UpdaterRankOperator extends AbstractStreamOperator<Void>
    implements OneInputStreamOperator<UpdaterAddress, Void>, BoundedOneInput {

  private static final long serialVersionUID = 1;

  /** How long the end of the input may take after the first updater has finished. */
  private static final Duration END_OF_INPUT = Duration.ofSeconds(10);

  private final RuntimeSettings settings;

  private transient MailboxExecutor mailbox;
  private transient Thread thread;
  private transient Backend backend;
  private transient PolicyModel policy;
  private transient StarRanks ranks;
  private transient PpoTrainer trainer;
  private transient CountDownLatch inputEnded;
  private transient volatile boolean closed;

  public UpdaterRankOperator(MillraceConfig config) {
    this.settings = new RuntimeSettings(config);
  }

  private PpoSection section() {
    return settings.config().section(PpoSection.class);
  }

  @Override
  public void open() throws Exception {
    super.open();
    inputEnded = new CountDownLatch(1);
    mailbox =
        getContainingTask()
            .getMailboxExecutorFactory()
            .createExecutor(getOperatorConfig().getChainIndex());
    backend = settings.backend();
    policy = settings.initialPolicy(backend);
  }

  @Override
  public void processElement(StreamRecord<UpdaterAddress> element) {
    if (thread != null) {
      throw new IllegalStateException("a second updater leads: at " + element.getValue());
    }
    UpdaterAddress address = element.getValue();
    thread =
        new Thread(
            () -> run(address),
            "updater of " + getRuntimeContext().getTaskInfo().getTaskNameWithSubtasks());
    thread.setContextClassLoader(Thread.currentThread().getContextClassLoader());
    thread.setDaemon(true);
    thread.start();
  }

  private void run(UpdaterAddress address) {
    try {
      follow(address);
    } catch (Throwable e) {
      // A closed operator interrupts this thread. A first updater that has finished may be gone
      // before this one has found it or has its models; the end of its input is then on its way.
      if (!closed && !(trainer == null && inputEnds())) {
        fail(e instanceof UncheckedIOException unchecked ? unchecked.getCause() : e);
      }
    }
  }

  /** Whether the input ends, or the operator does, within a short time. */
  private boolean inputEnds() {
    try {
      return inputEnded.await(END_OF_INPUT.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return closed;
    }
  }

  private void fail(Throwable cause) {
    if (ranks != null) {
      ranks.fail(cause.toString());
    }
    try {
      mailbox.execute(
          () -> {
            throw cause instanceof DivergedException
                ? new SuppressRestartsException(cause)
                : new IOException(
                    "updater of rank %d of %d failed: %s"
                        .formatted(rank(), section().updaters(), cause.getMessage()),
                    cause);
          },
          "training failed");
    } catch (RejectedExecutionException e) {
      // The task is gone already.
    }
  }

  private int rank() {
    return getRuntimeContext().getTaskInfo().getIndexOfThisSubtask() + 1;
  }

  /** Does what the first updater says, until that ends. */
  private void follow(UpdaterAddress address) throws IOException {
    int size = section().updaters();
    Link link = Rendezvous.connect(address.toAddress(), rank(), size, section().updaterTimeout());
    ranks = new StarRanks(rank(), size);
    ranks.connect(List.of(link));
    while (true) {
      switch (nextCommand(link)) {
        case START -> start(new StateReader(link.in()));
        case BEGIN ->
            trainer.begin(new StateReader(link.in()).read(UpdaterCommand.Begin.class).rollouts());
        case STEP -> {
          var _ = trainer.step();
        }
        case STATE -> trainer.sendMoments();
        case END -> {
          return;
        }
      }
    }
  }

  /**
   * The first updater may need minutes for a command: it waits for rollouts, or writes versions.
   */
  private static UpdaterCommand nextCommand(Link link) throws IOException {
    link.setPatient(true);
    try {
      return UpdaterCommand.read(link.in());
    } finally {
      link.setPatient(false);
    }
  }

  private void start(StateReader in) throws IOException {
    UpdaterCommand.Start models = in.read(UpdaterCommand.Start.class);
    ScalarModel critic =
        models.critic() == null
            ? null
            : PpoTrainers.zeroCritic(
                backend, policy.model(), models.critic(), models.criticAdapter());
    trainer = PpoTrainers.of(settings, backend, policy.model(), critic, ranks);
    trainer.read(in);
  }

  /**
   * The first updater has finished. It may still need the moments of this one, for the last Flink
   * checkpoint.
   */
  @Override
  public void endInput() {
    inputEnded.countDown();
  }

  @Override
  public void close() throws Exception {
    closed = true;
    boolean interrupted = false;
    while (thread != null && thread.isAlive()) {
      thread.interrupt();
      try {
        thread.join();
      } catch (InterruptedException e) {
        // Flink interrupts a cancelled task. Memory in use must still not be freed.
        interrupted = true;
      }
    }
    if (ranks != null) {
      ranks.close();
    }
    if (trainer != null) {
      Closing.closeAll(trainer, policy.tokenizer(), backend);
    } else if (policy != null) {
      Closing.closeAll(policy, backend);
    } else if (backend != null) {
      backend.close();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    super.close();
  }
}

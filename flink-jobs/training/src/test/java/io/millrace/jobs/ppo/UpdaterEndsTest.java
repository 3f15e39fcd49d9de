package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.testkit.OperatorHarness;
import io.millrace.model.parallel.Rendezvous;
import io.millrace.model.ppo.PpoRollout;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.state.StateWriter;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.flink.runtime.operators.testutils.MockEnvironment;
import org.apache.flink.runtime.operators.testutils.MockEnvironmentBuilder;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.tasks.mailbox.Mail;
import org.apache.flink.streaming.runtime.tasks.mailbox.TaskMailbox;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Two updaters, of which the first ends or fails at an awkward time. */
@Timeout(60)
@SuppressWarnings("try") // Flink's harness may throw InterruptedException from close().
class UpdaterEndsTest {

  private static final Duration PATIENCE = Duration.ofSeconds(30);

  @TempDir private static Path directory;
  private static MillraceConfig config;

  @BeforeAll
  static void makeModel() throws Exception {
    List<String> settings = new ArrayList<>(OperatorHarness.TINY_MODEL);
    settings.addAll(
        List.of(
            "checkpoints.directory=" + directory,
            "ppo.updaters=2",
            "ppo.shard-optimizer=true",
            "ppo.advantage=reinforce++",
            "ppo.batch-size=2",
            "ppo.mini-batch-size=2",
            "ppo.score-batch-size=2"));
    config = InitialModel.ensure(ConfigLoader.load(Optional.empty(), settings));
  }

  /** The second updater as Flink runs it. */
  private static final class Second implements AutoCloseable {
    final OneInputStreamOperatorTestHarness<UpdaterAddress, Void> harness;

    Second(UpdaterAddress address) throws Exception {
      harness = new OneInputStreamOperatorTestHarness<>(new UpdaterRankOperator(config), 1, 1, 0);
      harness.open();
      harness.processElement(new StreamRecord<>(address));
    }

    private static Optional<Thread> thread() {
      return Thread.getAllStackTraces().keySet().stream()
          .filter(thread -> thread.getName().startsWith("updater of "))
          .findFirst();
    }

    /** Waits until it can do nothing but wait, or has ended. */
    void awaitRest() {
      long deadline = System.nanoTime() + PATIENCE.toNanos();
      while (thread().map(thread -> thread.getState() == Thread.State.RUNNABLE).orElse(false)) {
        assertTrue(System.nanoTime() < deadline, "the second updater is at work for ever");
        Thread.onSpinWait();
      }
    }

    /** Ends its input, and fails if it has failed. */
    void end() throws Exception {
      harness.endInput();
      long deadline = System.nanoTime() + PATIENCE.toNanos();
      while (thread().isPresent()) {
        assertTrue(System.nanoTime() < deadline, "the second updater does not end");
        Thread.onSpinWait();
      }
      for (Optional<Mail> mail = next(); mail.isPresent(); mail = next()) {
        mail.get().run();
      }
    }

    private Optional<Mail> next() {
      return harness.getTaskMailbox().tryTake(TaskMailbox.MIN_PRIORITY);
    }

    @Override
    public void close() throws Exception {
      harness.close();
    }
  }

  /** The first updater, between its opening and its end. */
  private static final class First implements AutoCloseable {
    final UpdaterLead lead;
    private final Backend backend;
    private final PolicyModel policy;
    final PpoTrainer trainer;

    First() throws Exception {
      RuntimeSettings settings = new RuntimeSettings(config);
      try (MockEnvironment environment = new MockEnvironmentBuilder().build()) {
        lead = UpdaterLead.open(config.section(PpoSection.class), environment.getTaskManagerInfo());
      }
      backend = settings.backend();
      policy = settings.initialPolicy(backend);
      trainer = PpoTrainers.of(settings, backend, policy.model(), null, lead.ranks());
    }

    void begin() throws IOException {
      List<PpoRollout> rollouts = new ArrayList<>();
      for (int i = 0; i < 2; i++) {
        float[] logProbs = {-5, -6};
        rollouts.add(
            new PpoRollout(
                "p" + i,
                new int[] {5, 6 + i},
                new int[] {7, 8},
                logProbs,
                logProbs,
                i,
                0,
                false,
                false,
                true));
      }
      lead.begin(trainer, rollouts);
      trainer.begin(rollouts);
    }

    void snapshot() throws IOException {
      lead.write(trainer, new StateWriter(new DataOutputStream(OutputStream.nullOutputStream())));
    }

    @Override
    public void close() {
      lead.close();
      trainer.close();
      policy.tokenizer().close();
      backend.close();
    }
  }

  /** Without Flink checkpoints nothing keeps the first updater until the others run. */
  @Test
  void aFirstUpdaterThatIsGoneBeforeItIsFoundIsNoFailure() throws Exception {
    UpdaterAddress gone;
    try (Rendezvous rendezvous = Rendezvous.open("127.0.0.1", "127.0.0.1", 2, PATIENCE, _ -> {})) {
      gone = UpdaterAddress.of(rendezvous.address());
    }
    try (Second second = new Second(gone)) {
      second.awaitRest();
      second.end();
    }
  }

  @Test
  void aFirstUpdaterThatEndsBeforeItHasSentTheModelsIsNoFailure() throws Exception {
    Rendezvous rendezvous = Rendezvous.open("127.0.0.1", "127.0.0.1", 2, PATIENCE, _ -> {});
    try (Second second = new Second(UpdaterAddress.of(rendezvous.address()))) {
      long deadline = System.nanoTime() + PATIENCE.toNanos();
      while (rendezvous.connected().isEmpty()) {
        assertTrue(System.nanoTime() < deadline, "no connection");
        Thread.onSpinWait();
      }
      rendezvous.close();
      second.awaitRest();
      second.end();
    }
  }

  /** A snapshot takes the moments of the others; that is no part of an iteration. */
  @Test
  void snapshotsAreNoExchangesOfAnIteration() throws Exception {
    try (First first = new First();
        Second second = new Second(first.lead.address())) {
      first.begin();
      while (first.lead.step(first.trainer).isEmpty()) {
        first.snapshot();
      }
      double share = first.lead.metrics().get("updaters/exchange_share");
      assertTrue(share > 0 && share <= 1, "share " + share);
      long bytes = exchanged(first);
      first.begin();
      first.snapshot();
      assertEquals(0, first.lead.metrics().get("updaters/exchange_share"));
      assertTrue(exchanged(first) > bytes, "the second updater has moments");
      first.lead.close();
      second.end();
    }
  }

  private static long exchanged(First first) {
    return first.lead.ranks().exchangedBytes();
  }

  /** The second updater then fails with the first one; it must not take the end for a good one. */
  @Test
  void aSnapshotThatFailsDoesNotLetTheOthersGo() throws Exception {
    try (First first = new First();
        Second second = new Second(first.lead.address())) {
      first.begin();
      OutputStream full =
          new OutputStream() {
            @Override
            public void write(int b) throws IOException {
              throw new IOException("no space left");
            }
          };
      assertThrows(
          IOException.class,
          () -> first.lead.write(first.trainer, new StateWriter(new DataOutputStream(full))));
      first.lead.close();
      IOException failure = assertThrows(IOException.class, second::end);
      assertTrue(
          failure.getMessage().contains("updater of rank 1 of 2 failed"), failure.toString());
      assertFalse(failure.getMessage().contains("no space left"));
    }
  }
}

package io.millrace.jobs.rewardmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.HeldOut;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.Opinion;
import io.millrace.jobs.runtime.AppliedWithdrawals;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.testkit.OperatorRun;
import io.millrace.jobs.testkit.OperatorStates;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.WithdrawnBy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.apache.avro.generic.GenericRecord;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.tasks.mailbox.TaskMailbox;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Withdrawals and revisions of judgments, in Flink's harness. */
@SuppressWarnings("try") // Flink's harness may throw InterruptedException from close().
class WithdrawnJudgmentsTest {

  private static final Clock CLOCK =
      Clock.fixed(TestJudgments.TIME.plusMillis(1500), ZoneOffset.UTC);
  private static final long PATIENCE = Duration.ofSeconds(60).toNanos();
  private static final String ALL_WAIT = "reward-model.shuffle-buffer=1000";

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
  }

  @AfterAll
  static void stop() throws Exception {
    broker.close();
  }

  /** A configuration with topics and a checkpoint store of its own. */
  private static MillraceConfig config(String name, String... settings) throws Exception {
    List<String> all =
        new ArrayList<>(
            List.of(
                "kafka.bootstrap-servers=" + broker.bootstrapServers(),
                "kafka.topic-prefix=" + name + ".",
                "checkpoints.directory=" + directory.resolve(name),
                "model.seed=7",
                "ppo.held-out-share=0.2",
                "reward-model.batch-size=8",
                "reward-model.learning-rate=1e-2",
                "reward-model.publish-every=50",
                "reward-model.helpfulness.mixing.own=0.75",
                "reward-model.helpfulness.mixing.open=0.25",
                "reward-model.replay-capacity=16"));
    all.addAll(OperatorRun.TINY_MODEL);
    all.addAll(List.of(settings));
    MillraceConfig config = ConfigLoader.load(Optional.empty(), all);
    try (TopicAdmin admin = new TopicAdmin(JobSettings.kafka(config))) {
      admin.createAll(1, 1);
    }
    return InitialModel.ensure(config);
  }

  /** A run whose operator reads the topic of withdrawals. */
  private static final class Run extends JudgmentRun {
    private static RewardModelOperator current;

    Run(MillraceConfig config, OperatorSubtaskState state) throws Exception {
      super(() -> operator(config), state);
    }

    private static OneInputStreamOperator<Opinion, StagedCheckpoint> operator(
        MillraceConfig config) {
      current = new RewardModelOperator(config, Objective.HELPFULNESS, false, CLOCK);
      current.readWithdrawals(JobSettings.kafka(config));
      return current;
    }

    void withdraw(Withdrawal withdrawal) throws Exception {
      current.withdraw(List.of(withdrawal));
    }

    /** Runs the task's mails until the last state has a value. */
    GenericRecord await(String field, long value) throws Exception {
      long deadline = System.nanoTime() + PATIENCE;
      while (true) {
        GenericRecord state = OperatorStates.firstRecord(OperatorStates.bytes(snapshot()));
        if ((long) state.get(field) >= value) {
          return state;
        }
        assertTrue(System.nanoTime() < deadline, field + " stays at " + state.get(field));
        Thread.onSpinWait();
      }
    }

    String text() throws Exception {
      return new String(OperatorStates.bytes(snapshot()), StandardCharsets.ISO_8859_1);
    }

    long dropped() {
      return (long) accumulator("topics/judgments/dropped/withdrawn");
    }
  }

  private static Judgment judgment(int i) {
    return Judgment.newBuilder(
            TestJudgments.of("place-%03d".formatted(i), Objective.HELPFULNESS, source(i)))
        .setAnnotator("annotator-" + i % 5)
        .build();
  }

  private static String source(int i) {
    return i % 3 == 0 ? "open" : "own";
  }

  private static List<Judgment> judgments(int from, int to) {
    return IntStream.range(from, to).mapToObj(WithdrawnJudgmentsTest::judgment).toList();
  }

  private static Withdrawal withdrawal(WithdrawnBy by, String name) {
    return new Withdrawal("by " + by, by, name, "", "", TestJudgments.TIME);
  }

  private static Withdrawal withdrawal(WithdrawnBy by) {
    return withdrawal(
        by,
        switch (by) {
          case ID -> "place-017";
          case ANNOTATOR -> "annotator-2";
          case SOURCE -> "open";
        });
  }

  private static boolean isWithdrawn(WithdrawnBy by, int i) {
    return switch (by) {
      case ID -> i == 17;
      case ANNOTATOR -> i % 5 == 2;
      case SOURCE -> i % 3 == 0;
    };
  }

  private static boolean isIn(String state, int i) {
    return state.contains("Shall I go to place-%03d?".formatted(i));
  }

  private static void send(MillraceConfig config, Withdrawal withdrawal) throws Exception {
    KafkaSettings kafka = JobSettings.kafka(config);
    try (RecordWriter writer = new RecordWriter(kafka)) {
      writer.send(Topic.WITHDRAWALS, withdrawal);
    }
  }

  @ParameterizedTest
  @EnumSource(WithdrawnBy.class)
  void judgmentsThatWaitLeaveAndLaterOnesAreDropped(WithdrawnBy by) throws Exception {
    try (Run run = new Run(config("waiting-" + by, ALL_WAIT), null)) {
      run.judge(judgments(0, 60));
      GenericRecord before = run.await("consumed", 60);
      String state = run.text();
      for (int i = 0; i < 60; i++) {
        assertTrue(isIn(state, i), "place " + i);
      }
      assertEquals(0L, before.get("learned"));
      run.withdraw(withdrawal(by));
      run.judge(judgments(60, 90));
      run.await("consumed", 60 + IntStream.range(60, 90).filter(i -> !isWithdrawn(by, i)).count());
      state = run.text();
      for (int i = 0; i < 90; i++) {
        assertEquals(!isWithdrawn(by, i), isIn(state, i), "place " + i);
      }
      long withdrawn = IntStream.range(0, 90).filter(i -> isWithdrawn(by, i)).count();
      assertEquals(withdrawn, run.dropped());
      run.end();
      HeldOut heldOut = new HeldOut(0.2);
      assertEquals(
          judgments(0, 90).stream()
              .filter(one -> !heldOut.contains(one.getDialogue()))
              .filter(one -> !isWithdrawn(by, Integer.parseInt(one.getJudgmentId().substring(6))))
              .count(),
          run.summary(RewardModelOperator.job(Objective.HELPFULNESS)).get("learned"));
    }
  }

  @ParameterizedTest
  @EnumSource(WithdrawnBy.class)
  void judgmentsThatWereLearnedFromLeaveReplayHeldOutAndAnchors(WithdrawnBy by) throws Exception {
    try (Run run = new Run(config("learned-" + by), null)) {
      run.judge(judgments(0, 60));
      run.await("learned", 30);
      GenericRecord before = run.await("consumed", 60);
      run.withdraw(withdrawal(by));
      String state = run.text();
      boolean others = false;
      for (int i = 0; i < 60; i++) {
        assertFalse(isWithdrawn(by, i) && isIn(state, i), "place " + i);
        others |= isIn(state, i);
      }
      assertTrue(others, "replays and held-out judgments of others stay");
      long most = IntStream.range(0, 60).filter(i -> isWithdrawn(by, i)).count();
      assertTrue(
          run.dropped() > 0 && run.dropped() <= most,
          run.dropped() + " of " + most + " judgments: one that is an anchor too counts once");
      GenericRecord after = OperatorStates.firstRecord(OperatorStates.bytes(run.snapshot()));
      long withdrawnAnchors = 0;
      for (Object owner : owners(before)) {
        String id = ((List<?>) ((GenericRecord) owner).get("ids")).getFirst().toString();
        withdrawnAnchors += isWithdrawn(by, Integer.parseInt(id.substring(6))) ? 1 : 0;
      }
      assertTrue(withdrawnAnchors > 0, "an anchor is withdrawn");
      assertTrue(owners(after).size() >= owners(before).size() - withdrawnAnchors);
      assertEquals(2 * owners(after).size(), sequences(after).size());
      for (Object owner : owners(after)) {
        String id = ((List<?>) ((GenericRecord) owner).get("ids")).getFirst().toString();
        assertFalse(isWithdrawn(by, Integer.parseInt(id.substring(6))), id);
      }
    }
  }

  private static List<?> owners(GenericRecord state) {
    return (List<?>) ((GenericRecord) state.get("anchors")).get("judgments");
  }

  private static List<?> sequences(GenericRecord state) {
    return (List<?>) ((GenericRecord) state.get("anchors")).get("sequences");
  }

  /** Recovery of the new state, and of the order of everything that stays, bit for bit. */
  @Test
  void aRunThatKnowsWithdrawalsEndsInTheBitsOfOneWithoutTheRecords() throws Exception {
    MillraceConfig with = config("with", "reward-model.shuffle-buffer=20");
    send(with, withdrawal(WithdrawnBy.ANNOTATOR));
    List<Judgment> all = judgments(0, 200);
    List<Judgment> others =
        all.stream().filter(one -> !one.getAnnotator().equals("annotator-2")).toList();
    try (Run killed = new Run(with, null);
        Run straight = new Run(config("without", "reward-model.shuffle-buffer=20"), null)) {
      straight.judge(others).end();
      killed.judge(all.subList(0, 77)).dieAfterJudging(all.subList(77, 120));
      killed.judge(all.subList(77, 150)).dieAfterJudging(all.subList(150, 155));
      killed.judge(all.subList(150, 200)).end();
      assertEquals(straight.published, killed.published);
      assertTrue(straight.published.size() > 1);
      assertEquals(40, killed.dropped(), "counted since the job began");
      assertEquals(1L, killed.accumulator(AppliedWithdrawals.NAME));
    }
  }

  @Test
  void aStateFromBeforeAWithdrawalLosesTheRecordsWhenItIsRestored() throws Exception {
    MillraceConfig config = config("restored", ALL_WAIT);
    OperatorSubtaskState before;
    try (Run run = new Run(config, null)) {
      run.judge(judgments(0, 60));
      run.await("consumed", 60);
      before = run.snapshot();
    }
    send(config, withdrawal(WithdrawnBy.ANNOTATOR));
    try (Run run = new Run(config, before)) {
      String state = run.text();
      for (int i = 0; i < 60; i++) {
        assertEquals(!isWithdrawn(WithdrawnBy.ANNOTATOR, i), isIn(state, i), "place " + i);
      }
      assertEquals(12, run.dropped());
    }
  }

  @Test
  void aWithdrawalThatComesIsAppliedWithoutARecord() throws Exception {
    MillraceConfig config = config("live", ALL_WAIT);
    try (Run run = new Run(config, null)) {
      run.judge(judgments(0, 60));
      run.await("consumed", 60);
      send(config, withdrawal(WithdrawnBy.ID));
      long deadline = System.nanoTime() + PATIENCE;
      while ((long) run.accumulator(AppliedWithdrawals.NAME) < 1) {
        assertTrue(System.nanoTime() < deadline, "the withdrawal is not applied");
        run.harness.getTaskMailbox().take(TaskMailbox.MIN_PRIORITY).run();
      }
      String state = run.text();
      assertFalse(isIn(state, 17));
      assertTrue(isIn(state, 16));
      assertEquals(1, run.dropped());
    }
  }

  private static Judgment revised(int i, int revision) {
    return Judgment.newBuilder(judgment(i))
        .setDialogue(List.of(new Turn(Role.USER, "Revision %d of %03d".formatted(revision, i))))
        .setRevision(revision)
        .build();
  }

  @Test
  void aRevisionReplacesWhatWaits() throws Exception {
    try (Run run = new Run(config("revised", ALL_WAIT, "ppo.held-out-share=0"), null)) {
      run.judge(judgments(0, 40)).judge(List.of(revised(17, 1), revised(17, 3)));
      run.await("consumed", 42);
      String state = run.text();
      assertFalse(isIn(state, 17));
      assertFalse(state.contains("Revision 1 of 017"));
      assertTrue(state.contains("Revision 3 of 017"));
      assertTrue(isIn(state, 16));
      run.end();
      String job = RewardModelOperator.job(Objective.HELPFULNESS);
      assertEquals(40, run.summary(job).get("learned"));
      assertEquals(2, run.summary(job).get("replaced"));
    }
  }

  @Test
  void aRevisionOfALearnedJudgmentIsLearnedAndTheFormerIsNotReplayed() throws Exception {
    try (Run run = new Run(config("relearned", "ppo.held-out-share=0"), null)) {
      run.judge(judgments(0, 41));
      run.await("learned", 32);
      run.judge(List.of(revised(0, 1))).judge(judgments(41, 80));
      run.await("consumed", 81);
      String state = run.text();
      assertFalse(isIn(state, 0), "not in the replay buffer");
      List<?> anchors = owners(OperatorStates.firstRecord(OperatorStates.bytes(run.snapshot())));
      assertTrue(
          anchors.stream()
              .map(GenericRecord.class::cast)
              .filter(owner -> owner.get("ids").toString().contains("place-000"))
              .allMatch(owner -> owner.get("revision").equals(1)),
          anchors.toString());
      run.end();
      assertEquals(81, run.summary(RewardModelOperator.job(Objective.HELPFULNESS)).get("learned"));
    }
  }

  @Test
  void judgmentsAfterTheTimeOfAWithdrawalAreUsed() throws Exception {
    try (Run run = new Run(config("later", ALL_WAIT), null)) {
      run.withdraw(withdrawal(WithdrawnBy.ANNOTATOR));
      Instant later = TestJudgments.TIME.plusMillis(1);
      run.judge(List.of(judgment(2), Judgment.newBuilder(judgment(7)).setTime(later).build()));
      run.await("consumed", 1);
      String state = run.text();
      assertFalse(isIn(state, 2));
      assertTrue(isIn(state, 7));
    }
  }
}

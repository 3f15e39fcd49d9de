package io.millrace.jobs.preference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.Job;
import io.millrace.jobs.models.HeldOut;
import io.millrace.jobs.runtime.EdgeTap;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.FailOnce;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Label;
import io.millrace.schemas.Lineage;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import io.millrace.world.Annotators;
import io.millrace.world.DemoWorld;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.flink.api.common.JobExecutionResult;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The job as it is submitted, on a real broker and cluster. */
class PreferenceJobTest {

  private static final long SEED = 9;
  private static final double HELD_OUT = 0.2;

  @RegisterExtension
  private static final JobHarness HARNESS =
      new JobHarness(
          4,
          "model.seed=" + SEED,
          "model.hidden-size=16",
          "model.layers=1",
          "model.heads=2",
          "model.ffn-size=32",
          "model.max-positions=128",
          "ppo.held-out-share=" + HELD_OUT,
          "preference.batch-size=8",
          "preference.learning-rate=1e-3",
          "preference.shuffle-buffer=16",
          "preference.publish-every=100");

  private static List<Judgment> judgments(int count) {
    InstantSource clock = InstantSource.system();
    return new Annotators(new DemoWorld(SEED, clock), SEED, clock)
        .archive(Objective.HELPFULNESS, count);
  }

  private static Map<String, Double> run(Deployment deployment, EdgeTap tap) throws Exception {
    return summary(result(deployment, tap));
  }

  private static JobExecutionResult result(Deployment deployment, EdgeTap tap) throws Exception {
    return deployment.run(Job.PREFERENCE.graph(deployment.config(), true, tap));
  }

  private static Map<String, Double> summary(JobExecutionResult result) {
    return Deployment.summary(result, "preference");
  }

  @Test
  void aRunThatFailsEndsInTheSameBits() throws Exception {
    Deployment straight = HARNESS.deploy("straight", "preference.epochs=2");
    Deployment killed = HARNESS.deploy("killed", "preference.epochs=2");
    List<Judgment> judgments = judgments(160);
    for (Deployment deployment : List.of(straight, killed)) {
      deployment.send(Topic.JUDGMENTS, judgments);
    }
    Map<String, Double> expected = run(straight, EdgeTap.NONE);
    Map<String, Double> actual = run(killed, new FailOnce("preference-trainer", 90));
    assertEquals(0, expected.remove("restarts"));
    assertEquals(1, actual.remove("restarts"), "the failure never happened, seed " + SEED);
    assertEquals(expected, actual);
    long learnable = judgments.stream().filter(PreferenceJobTest::isLearned).count();
    assertEquals(2 * learnable, expected.get("learned"));
    assertTrue(straight.announced().size() >= 3, straight.announced().toString());
    assertEquals(straight.announced(), killed.announced());
    PolicyCheckpoint last = straight.read(Topic.POLICY_CHECKPOINTS).getLast();
    assertTrue(last.getMetrics().containsKey("rewards/accuracies"), last.toString());
  }

  private static boolean isLearned(Judgment judgment) {
    return !new HeldOut(HELD_OUT).contains(judgment.getDialogue());
  }

  private static Feedback feedback(Judgment judgment) {
    return Feedback.newBuilder()
        .setFeedbackId("of " + judgment.getJudgmentId())
        .setDialogue(judgment.getDialogue())
        .setResponse(judgment.getResponseA())
        .setLabel(judgment.getPreferred() == Preferred.A ? Label.UP : Label.DOWN)
        .build();
  }

  private static <T> List<T> with(List<T> records, T more) {
    List<T> all = new ArrayList<>(records);
    all.add(more);
    return all;
  }

  /** Judgments and feedback, with a duplicate and bad ones of each. */
  @Test
  void kahnemanTverskyLearnsFromBothTopicsAndBadRecordsAreDeadLetters() throws Exception {
    Deployment both = HARNESS.deploy("both", "preference.loss=kto");
    List<Judgment> judgments = judgments(60).stream().filter(PreferenceJobTest::isLearned).toList();
    List<Feedback> feedback = judgments.stream().map(PreferenceJobTest::feedback).toList();
    both.send(Topic.JUDGMENTS, with(judgments, judgments.getFirst()));
    both.send(Topic.FEEDBACK, with(feedback, feedback.getFirst()));
    Judgment same = Judgment.newBuilder(judgments.getFirst()).setJudgmentId("same").build();
    same.setResponseB(same.getResponseA());
    both.send(Topic.JUDGMENTS, List.of(same));
    Feedback tooLong = Feedback.newBuilder(feedback.getFirst()).setFeedbackId("long").build();
    tooLong.setDialogue(List.of(new Turn(Role.USER, "far ".repeat(200))));
    Feedback shortened = Feedback.newBuilder(tooLong).setFeedbackId("shortened").build();
    shortened.setDialogue(
        List.of(
            new Turn(Role.USER, "far ".repeat(200)),
            new Turn(Role.ASSISTANT, "near"),
            new Turn(Role.USER, "who")));
    assertTrue(!new HeldOut(HELD_OUT).contains(shortened.getDialogue().subList(2, 3)));
    both.send(Topic.FEEDBACK, List.of(tooLong, shortened));

    JobExecutionResult result = result(both, EdgeTap.NONE);
    Map<String, Object> counts = new TreeMap<>(result.getAllAccumulatorResults());
    counts.values().removeIf(Long.valueOf(0)::equals);
    counts.keySet().removeIf(name -> !name.startsWith("topics/"));
    long records = judgments.size();
    Map<String, Object> expected = new TreeMap<>();
    expected.put("topics/judgments/accepted", records + 1);
    expected.put("topics/judgments/duplicates", 1L);
    expected.put("topics/judgments/dead-letters/same-responses", 1L);
    expected.put("topics/feedback/accepted", records + 2);
    expected.put("topics/feedback/truncated", 1L);
    expected.put("topics/feedback/duplicates", 1L);
    expected.put("topics/feedback/dead-letters/too-long", 1L);
    assertEquals(expected, counts);
    Map<String, Double> summary = summary(result);
    assertEquals(records, summary.get("judgments"));
    assertEquals(records + 1, summary.get("feedback"));
    assertEquals(3 * records + 1, summary.get("learned"));
    Map<String, String> letters = new TreeMap<>();
    for (DeadLetter letter : both.read(Topic.DEAD_LETTERS)) {
      letters.put(letter.getTopic().replaceFirst(".*\\.", ""), letter.getReason());
    }
    assertEquals(Map.of("judgments", "same-responses", "feedback", "too-long"), letters);
    assertEquals(summary.get("version"), (double) both.announced().size());
    Set<String> learned = new TreeSet<>();
    Set<String> parts = new TreeSet<>();
    for (Lineage lineage : both.read(Topic.LINEAGE)) {
      assertTrue(parts.add(Topic.LINEAGE.keyOf(lineage)), lineage.toString());
      lineage.getIds().forEach(id -> learned.add(lineage.getTopic() + " " + id));
    }
    Set<String> sent = new TreeSet<>(Set.of("feedback shortened"));
    judgments.forEach(judgment -> sent.add("judgments " + judgment.getJudgmentId()));
    feedback.forEach(one -> sent.add("feedback " + one.getFeedbackId()));
    assertEquals(sent, learned);
  }
}

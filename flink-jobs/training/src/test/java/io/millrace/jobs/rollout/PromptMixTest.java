package io.millrace.jobs.rollout;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.Prompt;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.SimpleOperatorFactory;
import org.apache.flink.streaming.api.transformations.OneInputTransformation;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The share of safety prompts that are sampled. */
@SuppressWarnings("try") // Flink's harness may throw InterruptedException from close().
class PromptMixTest {

  private static Prompt prompt(int number, boolean isSafety) {
    return Prompt.newBuilder()
        .setPromptId("p" + number)
        .setDialogue(List.of(new Turn(Role.USER, "?")))
        .setIsSafety(isSafety)
        .build();
  }

  /** Prompts of which a share are safety prompts. */
  private static List<Prompt> stream(int count, double safetyShare, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Prompt> all = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      all.add(prompt(i, random.nextDouble() < safetyShare));
    }
    return all;
  }

  @SuppressWarnings("unchecked")
  private static OneInputStreamOperatorTestHarness<Prompt, Prompt> harness(double share)
      throws Exception {
    StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
    DataStream<Prompt> mixed = PromptMix.of(environment.fromData(prompt(0, true)), share);
    OneInputTransformation<Prompt, Prompt> transformation =
        (OneInputTransformation<Prompt, Prompt>) mixed.getTransformation();
    SimpleOperatorFactory<Prompt> factory =
        (SimpleOperatorFactory<Prompt>) transformation.getOperatorFactory();
    return new OneInputStreamOperatorTestHarness<>(
        (OneInputStreamOperator<Prompt, Prompt>) factory.getOperator());
  }

  private static List<Prompt> mixed(double share, List<Prompt> prompts) throws Exception {
    try (OneInputStreamOperatorTestHarness<Prompt, Prompt> harness = harness(share)) {
      harness.open();
      for (Prompt prompt : prompts) {
        harness.processElement(prompt, 0);
      }
      return harness.extractOutputValues();
    }
  }

  private static long safety(List<Prompt> prompts) {
    return prompts.stream().filter(Prompt::getIsSafety).count();
  }

  @ParameterizedTest
  @CsvSource({"0.2, 0.5", "0.5, 0.1", "0.9, 0.3", "0.3, 0.3"})
  void theShareIsKeptAtEachMomentWhateverComes(double share, double arriving) throws Exception {
    List<Prompt> taken = mixed(share, stream(2000, arriving, 3));
    assertTrue(taken.size() > 200, taken.size() + " taken");
    for (int i = 1; i <= taken.size(); i++) {
      double off = safety(taken.subList(0, i)) - share * i;
      assertTrue(Math.abs(off) <= PromptMix.SLACK + 1, "after %d: %s".formatted(i, off));
    }
    // The scarce kind is never dropped: only the other one is thinned.
    long scarce = arriving < share ? safety(taken) : taken.size() - safety(taken);
    long came =
        arriving < share
            ? safety(stream(2000, arriving, 3))
            : 2000 - safety(stream(2000, arriving, 3));
    assertTrue(came - scarce <= 0 || share == arriving, "%d of %d".formatted(scarce, came));
  }

  @Test
  void withoutAShareAllPromptsPass() throws Exception {
    List<Prompt> all = stream(50, 0.9, 1);
    assertEquals(all, mixed(0, all));
  }

  /** The counts of the former share would hold the other prompts back for long. */
  @Test
  void anotherShareAfterARestartBeginsAnew() throws Exception {
    OperatorSubtaskState state;
    try (OneInputStreamOperatorTestHarness<Prompt, Prompt> harness = harness(0.1)) {
      harness.open();
      for (Prompt prompt : stream(2000, 0.1, 5)) {
        harness.processElement(prompt, 0);
      }
      state = harness.snapshot(1, 1);
    }
    try (OneInputStreamOperatorTestHarness<Prompt, Prompt> harness = harness(0.5)) {
      harness.initializeState(state);
      harness.open();
      for (Prompt prompt : stream(200, 0.5, 6)) {
        harness.processElement(prompt, 0);
      }
      assertTrue(harness.extractOutputValues().size() > 150);
    }
  }

  @Test
  void aJobThatDiesAndResumesDropsTheSamePrompts() throws Exception {
    List<Prompt> all = stream(200, 0.7, 5);
    List<Prompt> undisturbed = mixed(0.4, all);
    List<Prompt> taken = new ArrayList<>();
    OperatorSubtaskState state;
    try (OneInputStreamOperatorTestHarness<Prompt, Prompt> harness = harness(0.4)) {
      harness.open();
      for (Prompt prompt : all.subList(0, 70)) {
        harness.processElement(prompt, 0);
      }
      state = harness.snapshot(1, 1);
      taken.addAll(harness.extractOutputValues());
    }
    try (OneInputStreamOperatorTestHarness<Prompt, Prompt> harness = harness(0.4)) {
      harness.initializeState(state);
      harness.open();
      for (Prompt prompt : all.subList(70, 200)) {
        harness.processElement(prompt, 0);
      }
      taken.addAll(harness.extractOutputValues());
      assertEquals(
          200L - undisturbed.size(),
          harness
              .getEnvironment()
              .getAccumulatorRegistry()
              .getUserMap()
              .get("topics/prompts/dropped/mix")
              .getLocalValue());
    }
    assertEquals(undisturbed, taken);
  }
}

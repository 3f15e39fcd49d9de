package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RewardModelPair;
import io.millrace.jobs.testkit.OperatorHarness;
import io.millrace.model.llama.Targets;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Turn;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LogProbCheckTest {

  private static final List<Integer> PROMPT = List.of(5, 6, 7);
  private static final List<Integer> RESPONSE = List.of(8, 9, 10, 11);

  @TempDir private static Path directory;

  private static ScoredRollout rollout(float[] logProbs, double factor, long version) {
    List<Float> values = new ArrayList<>();
    for (float logProb : logProbs) {
      values.add((float) (logProb * factor));
    }
    ModelRef model = new ModelRef(1, "unused", "");
    return new ScoredRollout(
        Rollout.newBuilder()
            .setRolloutId("p/0")
            .setPromptId("p")
            .setDialogue(List.of(new Turn(Role.USER, "Hi")))
            .setPromptTokens(PROMPT)
            .setResponseTokens(RESPONSE)
            .setLogProbs(values)
            .setResponseText("")
            .setFinishReason(FinishReason.LENGTH)
            .setModel("policy")
            .setPolicyVersion(version)
            .setTemperature(1)
            .build(),
        false,
        0,
        0,
        new RewardModelPair(model, model),
        logProbs);
  }

  @Test
  void logProbsAtAnotherTemperatureRaiseAnAlarm() throws Exception {
    List<String> settings = new ArrayList<>(OperatorHarness.TINY_MODEL);
    settings.add("checkpoints.directory=" + directory);
    MillraceConfig config = InitialModel.ensure(ConfigLoader.load(Optional.empty(), settings));
    try (Backend backend = Backends.openDefault();
        PolicyModel policy = PolicyModel.load(backend, config.model().initial())) {
      int[] sequence = {5, 6, 7, 8, 9, 10, 11};
      float[] own =
          policy
              .model()
              .infer(List.of(sequence), Targets.from(List.of(sequence), new int[] {3}), 1)
              .logProbs();
      LogProbCheck check = new LogProbCheck(0.1, 1);

      Map<String, Double> same =
          check.compare(policy, List.of(rollout(own, 1, 3), rollout(own, 9, 2)), 3);
      assertEquals(0, same.get("val/log_prob_difference"), 1e-6);
      assertEquals(0.0, same.get("monitor/log_prob_alarm"));

      Map<String, Double> scaled = check.compare(policy, List.of(rollout(own, 1 / 0.7, 3)), 3);
      double expected = 0;
      for (float logProb : own) {
        expected += Math.abs(logProb / 0.7 - logProb) / own.length;
      }
      assertEquals(expected, scaled.get("val/log_prob_difference"), 1e-4);
      assertTrue(scaled.get("val/log_prob_difference_max") >= expected);
      assertEquals(1.0, scaled.get("monitor/log_prob_alarm"));

      assertEquals(Map.of(), check.compare(policy, List.of(rollout(own, 1, 2)), 3), "none fresh");
    }
  }
}

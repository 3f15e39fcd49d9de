package io.millrace.jobs.rewardmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.model.reward.SourceRatios;
import io.millrace.schemas.Objective;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class JudgmentSourcesTest {

  private static Optional<String> key(Map<String, Double> mix, Objective objective, String source) {
    return new JudgmentSources(Objective.HELPFULNESS, SourceRatios.of(mix))
        .keyOf(TestJudgments.of("j", objective, source));
  }

  @Test
  void withoutAMixEverythingOfTheObjectiveCounts() {
    Map<String, Double> all = SourceRatios.asTheyCome().ratios();
    assertEquals(Optional.of("*"), key(all, Objective.HELPFULNESS, "own"));
    assertEquals(Optional.empty(), key(all, Objective.SAFETY, "own"));
  }

  @Test
  void aNamedSourceGoesBeforeTheOthers() {
    Map<String, Double> mix = Map.of("own", 0.5, "*", 0.25, "safety/*", 0.25);
    assertEquals(Optional.of("own"), key(mix, Objective.HELPFULNESS, "own"));
    assertEquals(Optional.of("*"), key(mix, Objective.HELPFULNESS, "open"));
    assertEquals(Optional.of("safety/*"), key(mix, Objective.SAFETY, "own"));
  }

  @Test
  void aSourceThatIsNotNamedIsNotTaken() {
    Map<String, Double> mix = Map.of("own", 0.5, "safety/own", 0.5);
    assertEquals(Optional.empty(), key(mix, Objective.HELPFULNESS, "open"));
    assertEquals(Optional.empty(), key(mix, Objective.SAFETY, "open"));
    assertEquals(Optional.of("safety/own"), key(mix, Objective.SAFETY, "own"));
  }
}

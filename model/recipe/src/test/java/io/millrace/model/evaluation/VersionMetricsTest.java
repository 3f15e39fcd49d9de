package io.millrace.model.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class VersionMetricsTest {

  @Test
  void anEstimateHasItsStandardError() {
    Estimate estimate = Estimate.of(new float[] {1, 3, 2, 6, 3});
    assertEquals(3, estimate.mean());
    // (4 + 0 + 1 + 9 + 0) / 4 = 3.5, and √(3.5 / 5).
    assertEquals(Math.sqrt(0.7), estimate.standardError(), 1e-12);
    assertEquals(new Estimate(-2, 0), Estimate.of(new float[] {-2}));
  }

  @Test
  void distinctNGramsAreCountedOverAllResponses() {
    List<String> responses = List.of("Mix flour. Mix flour!", "mix, water", "");
    // mix ×3, flour ×2, water: 3 of 6; mix flour ×2, flour mix, mix water: 3 of 4.
    assertEquals(3 / 6.0, Diversity.distinct(responses, 1));
    assertEquals(3 / 4.0, Diversity.distinct(responses, 2));
    assertEquals(0, Diversity.distinct(List.of("one word", ""), 3));
    assertEquals(List.of("don't", "stop"), Diversity.words("Don't — stop."));
  }

  @Test
  void whatWasNotMeasuredHasNoFigureAndNoRatio() {
    VersionMetrics baseline =
        VersionMetrics.builder()
            .safetyViolations(0.25)
            .falseRefusals(0.5)
            .responseTokens(20)
            .distinct1(0.5)
            .distinct2(0.8)
            .kl(0)
            .entropy(1.5)
            .truncated(0)
            .build();
    VersionMetrics version =
        VersionMetrics.builder()
            .safetyViolations(0.25)
            .responseTokens(30)
            .distinct1(0.25)
            .distinct2(0.2)
            .perplexity(4)
            .kl(3)
            .entropy(1)
            .truncated(0.5)
            .build();
    assertEquals(8, version.byName().size());
    assertEquals(30.0, version.byName().get("response_tokens"));
    assertEquals(
        Map.of("ratio/response_tokens", 1.5, "ratio/distinct_1", 0.5, "ratio/distinct_2", 0.25),
        version.ratios(baseline));
  }

  @Test
  void everySetterSetsItsOwnMetric() {
    assertEquals(
        new VersionMetrics(1, 2, 3, 4, 5, 6, 7, 8, 9),
        VersionMetrics.builder()
            .truncated(9)
            .entropy(8)
            .kl(7)
            .perplexity(6)
            .distinct2(5)
            .distinct1(4)
            .responseTokens(3)
            .falseRefusals(2)
            .safetyViolations(1)
            .build());
  }
}

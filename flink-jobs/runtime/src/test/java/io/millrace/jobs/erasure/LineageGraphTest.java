package io.millrace.jobs.erasure;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.jobs.erasure.LineageGraph.Affected;
import io.millrace.jobs.erasure.LineageGraph.Version;
import io.millrace.schemas.Lineage;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class LineageGraphTest {

  private static final String HELPFULNESS = "reward-model-helpfulness";

  /**
   * Supervised policy 1, reward models that start from it, and policies 2 to 4 that PPO trains
   * against them.
   */
  private static final List<Lineage> RECORDS =
      List.of(
          of("policy", 1, "", 0, "demonstrations", List.of("d1", "d2")).build(),
          of(HELPFULNESS, 1, "policy", 1, "judgments", List.of("j1")).build(),
          of(HELPFULNESS, 2, HELPFULNESS, 1, "judgments", List.of("j2")).build(),
          of("policy", 2, "policy", 1, "prompts", List.of("p1"))
              .setHelpfulnessVersions(List.of(1L))
              .build(),
          of("policy", 3, "policy", 2, "prompts", List.of("p2"))
              .setHelpfulnessVersions(List.of(1L, 2L))
              .build(),
          of("policy", 4, "policy", 3, "prompts", List.of("p3")).build(),
          of("other", 1, "", 0, "prompts", List.of("p9")).setOmitted(7).build());

  private static Lineage.Builder of(
      String model, long version, String parent, long number, String topic, List<String> ids) {
    return Lineage.newBuilder()
        .setModel(model)
        .setVersion(version)
        .setPart(0)
        .setParentModel(parent)
        .setParent(number)
        .setTopic(topic)
        .setIds(ids);
  }

  private static List<String> affected(String... ids) {
    return LineageGraph.of(RECORDS, Set.of(ids)).affected().stream()
        .map(LineageGraphTest::text)
        .toList();
  }

  private static String text(Affected one) {
    return one.version()
        + " "
        + one.relation()
        + one.via().map(via -> " " + via).orElse(" " + one.records());
  }

  @Test
  void aJudgmentPassesThroughItsRewardModelsToPoliciesAndTheirDescendants() {
    assertEquals(
        List.of(
            "policy version 3 SCORED reward-model-helpfulness version 2",
            "policy version 4 DESCENDS policy version 3",
            "reward-model-helpfulness version 2 LEARNED 1"),
        affected("j2"));
    assertEquals(
        List.of(
            "policy version 2 SCORED reward-model-helpfulness version 1",
            "policy version 3 SCORED reward-model-helpfulness version 1",
            "policy version 4 DESCENDS policy version 3",
            "reward-model-helpfulness version 1 LEARNED 1",
            "reward-model-helpfulness version 2 DESCENDS reward-model-helpfulness version 1"),
        affected("j1"));
  }

  @Test
  void aDemonstrationIsInAllThatStartedFromItsPolicy() {
    assertEquals(6, affected("d1").size());
    assertEquals("policy version 1 LEARNED 2", affected("d1", "d2").getFirst());
    assertEquals(
        "reward-model-helpfulness version 1 DESCENDS policy version 1", affected("d1").get(4));
  }

  @Test
  void aPromptIsInItsPolicyAndLaterOnes() {
    assertEquals(
        List.of("policy version 4 LEARNED 1"), affected("p3"), "no version started from it");
    assertEquals(List.of(), affected("unknown"));
  }

  @Test
  void versionsWhoseIdsAreNotAllListedAreNamed() {
    LineageGraph graph = LineageGraph.of(RECORDS, Set.of("p3"));
    assertEquals(Map.of(new Version("other", 1), 7L), graph.incomplete());
    assertEquals(7, graph.versions());
  }

  @Test
  void thePartsOfAVersionAddUp() {
    Lineage first = of("policy", 1, "", 0, "prompts", List.of("p1")).build();
    Lineage second = Lineage.newBuilder(first).setPart(1).setIds(List.of("p2")).build();
    assertEquals(
        2,
        LineageGraph.of(List.of(first, second), Set.of("p1", "p2"))
            .affected()
            .getFirst()
            .records());
  }
}

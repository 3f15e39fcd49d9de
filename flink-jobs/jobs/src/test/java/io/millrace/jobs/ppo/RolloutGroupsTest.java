package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Rollout;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class RolloutGroupsTest {

  private final RolloutGroups groups = new RolloutGroups(3, 2);

  private static ScoredRollout rollout(String id, int prompt, boolean isSafety) {
    Rollout rollout =
        Rollout.newBuilder()
            .setRolloutId(id)
            .setPromptId("p" + prompt)
            .setDialogue(List.of())
            .setPromptTokens(List.of(1, prompt))
            .setResponseTokens(List.of(2))
            .setLogProbs(List.of(-1f))
            .setResponseText("")
            .setFinishReason(FinishReason.STOP)
            .setModel("policy")
            .setPolicyVersion(0)
            .setTemperature(1)
            .build();
    return new ScoredRollout(rollout, isSafety, 0, 0, null, new float[] {-1});
  }

  private String add(String id, int prompt) {
    return ids(groups.add(rollout(id, prompt, false)));
  }

  /** The ids of a closed group. */
  private static String ids(Optional<List<ScoredRollout>> closed) {
    return String.join(
        " ", closed.orElse(List.of()).stream().map(one -> one.rollout().getRolloutId()).toList());
  }

  @Test
  void responsesArriveInAnyOrder() {
    assertEquals("", add("a1", 1));
    assertEquals("", add("b1", 2));
    assertEquals("", add("b2", 2));
    assertEquals("", add("a2", 1));
    assertEquals("b1 b2 b3", add("b3", 2));
    assertEquals("a1 a2 a3", add("a3", 1));
    assertEquals(0, groups.size());
    assertEquals("", add("a4", 1), "a prompt that is sent again opens another group");
  }

  @Test
  void oneMoreThanTheBoundClosesTheOldest() {
    add("a1", 1);
    add("b1", 2);
    add("a2", 1);
    assertEquals("a1 a2", add("c1", 3));
    assertEquals(2, groups.size());
    assertEquals("b1", ids(groups.closeOldest()));
    assertEquals("c1", ids(groups.closeOldest()));
    assertTrue(groups.closeOldest().isEmpty());
  }

  @Test
  void anotherDecidingModelIsAnotherGroup() {
    groups.add(rollout("a1", 1, false));
    groups.add(rollout("s1", 1, true));
    assertEquals(2, groups.size());
  }

  @Test
  void removedResponsesAreNotWaitedFor() {
    add("a1", 1);
    add("a2", 1);
    add("b1", 2);
    assertEquals(2, groups.removeIf(one -> !one.rollout().getRolloutId().equals("a2")));
    assertEquals(1, groups.held());
    assertEquals(1, groups.size(), "a group without responses is none");
    assertEquals("a2 a3", add("a3", 1));
  }

  @Test
  void theStateKeepsTheOrderAndTheCounts() {
    add("a1", 1);
    add("b1", 2);
    add("a2", 1);
    groups.removeIf(one -> one.rollout().getRolloutId().equals("a1"));
    RolloutGroups again = new RolloutGroups(3, 2);
    again.restore(groups.state());
    assertEquals(2, again.held());
    assertEquals("a2 a3", ids(again.add(rollout("a3", 1, false))));
    assertEquals("b1", ids(again.closeOldest()));
  }
}

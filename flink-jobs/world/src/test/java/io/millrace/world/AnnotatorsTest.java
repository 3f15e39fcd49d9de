package io.millrace.world;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import org.junit.jupiter.api.Test;

class AnnotatorsTest {

  private static final InstantSource CLOCK = InstantSource.fixed(Instant.EPOCH);

  private final DemoWorld world = new DemoWorld(1, CLOCK);
  private final Annotators annotators = new Annotators(world, 1, CLOCK);
  private final Prompt prompt = world.prompts(0, 1).getFirst();

  private Rollout sample(int index) {
    return Rollout.newBuilder()
        .setRolloutId(prompt.getPromptId() + "/" + index)
        .setPromptId(prompt.getPromptId())
        .setDialogue(prompt.getDialogue())
        .setIsSafety(prompt.getIsSafety())
        .setPromptTokens(List.of(1))
        .setResponseTokens(List.of(2))
        .setLogProbs(List.of(-1f))
        .setResponseText(world.answers(prompt, 1).getFirst())
        .setFinishReason(FinishReason.STOP)
        .setModel("policy")
        .setPolicyVersion(1)
        .setTemperature(1)
        .setTopP(1)
        .setSeed(index)
        .setTime(Instant.EPOCH)
        .build();
  }

  @Test
  void aPromptsSamplesArePairedInTurn() {
    List<String> pairs =
        List.of(0, 1, 2, 3, 14, 15).stream().map(i -> Annotators.pair(sample(i))).toList();
    String id = prompt.getPromptId();
    assertEquals(List.of(id, id, id + "/1", id + "/1", id + "/7", id + "/7"), pairs);
  }

  @Test
  void eachPairIsJudgedUnderAnIdOfItsOwn() {
    Judgment first = annotators.judge(Objective.SAFETY, sample(0), sample(1));
    Judgment second = annotators.judge(Objective.SAFETY, sample(2), sample(3));
    assertNotEquals(first.getJudgmentId(), second.getJudgmentId());
    assertEquals(first, annotators.judge(Objective.SAFETY, sample(0), sample(1)), "the same again");
  }
}

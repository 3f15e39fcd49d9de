package io.millrace.world;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.chat.Message;
import io.millrace.model.evaluation.Judge;
import io.millrace.model.evaluation.Judge.Answer;
import io.millrace.model.evaluation.Judge.Choice;
import io.millrace.model.evaluation.Judge.Comparison;
import io.millrace.model.evaluation.Judge.Labels;
import io.millrace.model.evaluation.Judge.Question;
import io.millrace.model.evaluation.Judge.Response;
import io.millrace.schemas.Prompt;
import java.io.IOException;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class GoldJudgeTest {

  @Test
  void goldJudgesByTheDemoWorldsOwnMeasure() throws Exception {
    List<Prompt> prompts = new DemoWorld(1, InstantSource.system()).heldOutPrompts();
    Question harmless = question(prompts, false);
    Question unsafe = question(prompts, true);
    Answer refusal = new Answer("I cannot help with that.", 9, false);
    Answer step = new Answer("First, wait until nobody looks.", 9, false);
    try (Judge judge = new GoldJudge()) {
      judge.configure(Map.of());
      assertFalse(judge.needsRewardModels());
      assertEquals(
          List.of(Choice.A, Choice.B, Choice.TIE),
          judge.compare(
              List.of(
                  new Comparison(unsafe, refusal, step),
                  new Comparison(unsafe, step, refusal),
                  new Comparison(harmless, refusal, refusal))));
      assertEquals(
          List.of(
              new Labels(Optional.of(true), Optional.of(false)),
              new Labels(Optional.of(false), Optional.of(true))),
          judge.label(List.of(new Response(unsafe, step), new Response(harmless, refusal))));
      Question foreign = new Question("x1", List.of(Message.user("Who are you?")), false);
      IOException e =
          assertThrows(
              IOException.class,
              () -> judge.compare(List.of(new Comparison(foreign, refusal, step))));
      assertTrue(e.getMessage().contains("prompt x1"), e.getMessage());
    }
  }

  private static Question question(List<Prompt> prompts, boolean unsafe) {
    Prompt prompt =
        prompts.stream().filter(one -> one.getIsSafety() == unsafe).findFirst().orElseThrow();
    return new Question(
        prompt.getPromptId(),
        List.of(Message.user(prompt.getDialogue().getFirst().getContent())),
        prompt.getIsSafety());
  }
}

package io.millrace.schemas;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Instant;
import java.util.List;
import java.util.Set;
import org.apache.avro.Schema;
import org.apache.avro.specific.SpecificData;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.Test;

class ValidationTest {
  private static final Turn SYSTEM = new Turn(Role.SYSTEM, "Be kind.");
  private static final Turn USER = new Turn(Role.USER, "Hi");
  private static final Turn ASSISTANT = new Turn(Role.ASSISTANT, "Hello");

  @Test
  void theExamplesAreValid() {
    for (SpecificRecordBase record : Examples.all()) {
      assertEquals(List.of(), Validation.problems(record), record.toString());
      assertSame(record, Validation.require(record));
    }
  }

  @Test
  void promptsAreDialoguesThatEndWithTheUser() {
    assertEquals(List.of(), problems(USER));
    assertEquals(List.of(), problems(SYSTEM, USER, ASSISTANT, USER));
    assertProblem("dialogue is empty");
    assertProblem("dialogue ends with a turn of ASSISTANT", USER, ASSISTANT);
    assertProblem("dialogue[0].role is ASSISTANT; it must be USER", ASSISTANT, USER);
    assertProblem("dialogue[1].role is USER; it must be ASSISTANT", USER, USER);
    assertProblem("dialogue[2].role is SYSTEM; it must be USER", USER, ASSISTANT, SYSTEM, USER);
    assertProblem("dialogue[0].content is empty", new Turn(Role.USER, " \n"));
    assertProblem("dialogue ends with a turn of SYSTEM", SYSTEM);
    Prompt anonymous = new Prompt(" ", List.of(USER), false, "", Instant.EPOCH);
    assertEquals(List.of("promptId is empty"), Validation.problems(anonymous));
  }

  @Test
  void demonstrationsEndWithTheAssistant() {
    Demonstration open = new Demonstration("d", List.of(USER), "", Instant.EPOCH, 0, null);
    assertTrue(Validation.problems(open).getFirst().contains("the last turn must be of ASSISTANT"));
    Demonstration empty = new Demonstration("d", List.of(), "", Instant.EPOCH, 0, null);
    assertTrue(Validation.problems(empty).getFirst().contains("dialogue is empty"));
  }

  @Test
  void aSingleAssistantTurnIsAText() {
    Demonstration text = new Demonstration("d", List.of(ASSISTANT), "", Instant.EPOCH, 0, null);
    assertEquals(List.of(), Validation.problems(text));
    assertTrue(Validation.isText(text));
    Demonstration blank =
        new Demonstration("d", List.of(new Turn(Role.ASSISTANT, " ")), "", Instant.EPOCH, 0, null);
    assertEquals(
        List.of("the text is empty; a demonstration needs content"), Validation.problems(blank));
  }

  @Test
  void theFirstLearnedTurnIsInTheDialogue() {
    assertEquals(
        List.of(),
        Validation.problems(
            new Demonstration("d", List.of(USER, ASSISTANT), "", Instant.EPOCH, 1, null)));
    for (int turn : new int[] {-1, 2}) {
      assertEquals(
          List.of("firstLearnedTurn is " + turn + "; it must be a turn from 0 to 1"),
          Validation.problems(
              new Demonstration("d", List.of(USER, ASSISTANT), "", Instant.EPOCH, turn, null)));
    }
  }

  @Test
  void rolloutsHaveOneFiniteLogProbPerToken() {
    assertRollout("logProbs has 1 values for 2 responseTokens", List.of(4, 2), List.of(-1f));
    assertRollout("logProbs[1] is NaN", List.of(4, 2), List.of(-1f, Float.NaN));
    assertRollout("logProbs[0] is 0.5", List.of(4), List.of(0.5f));
    // A KL of 2.5e29 would come from this one.
    assertRollout("logProbs[0] is -1.0E30", List.of(4), List.of(-1e30f));
    assertRollout("responseTokens[1] is -1", List.of(4, -1), List.of(-1f, -1f));
    assertRollout("responseTokens is empty", List.of(), List.of());
  }

  private static Judgment judged(String a, String b) {
    Judgment judgment = Examples.judgment();
    judgment.getResponseA().setText(a);
    judgment.getResponseB().setText(b);
    return judgment;
  }

  @Test
  void judgedResponsesHaveContent() {
    assertEquals(List.of(), Validation.problems(judged("Yes", "No")));
    assertEquals(
        List.of("responseA.text is empty; a response needs content"),
        Validation.problems(judged(" \t", "No")));
    assertEquals(
        List.of("responseB.text is empty; a response needs content"),
        Validation.problems(judged("Yes", "")));
  }

  @Test
  void feedbackSaysSomethingAboutAResponse() {
    assertEquals(
        List.of(
            "label, score and response.unsafe are all null; feedback needs at least one of them"),
        feedbackProblems(null, null, null));
    assertEquals(List.of(), feedbackProblems(Label.DOWN, null, null));
    assertEquals(List.of(), feedbackProblems(null, 0f, null));
    assertEquals(List.of(), feedbackProblems(null, null, true));
    for (float score : new float[] {-0.1f, 1.1f, Float.NaN}) {
      assertEquals(
          List.of("score is " + score + "; it must be from 0 to 1"),
          feedbackProblems(Label.UP, score, null));
    }
    Feedback empty = Examples.feedback();
    empty.getResponse().setText(" ");
    assertEquals(
        List.of("response.text is empty; a response needs content"), Validation.problems(empty));
  }

  private static List<String> feedbackProblems(Label label, Float score, Boolean unsafe) {
    Feedback feedback = Examples.feedback();
    feedback.setLabel(label);
    feedback.setScore(score);
    feedback.getResponse().setUnsafe(unsafe);
    return Validation.problems(feedback);
  }

  @Test
  void responsesThatDifferInBlanksAreTheSame() {
    assertTrue(Validation.isBetweenSameResponses(judged("Yes", "Yes")));
    assertTrue(Validation.isBetweenSameResponses(judged("Yes", " Yes\n")));
    assertFalse(Validation.isBetweenSameResponses(judged("Yes", "yes")));
  }

  @Test
  void timesAreTimes() {
    for (SpecificRecordBase record : Examples.all()) {
      for (long millis : new long[] {Long.MAX_VALUE, Long.MIN_VALUE, -1}) {
        SpecificRecordBase changed = SpecificData.get().deepCopy(record.getSchema(), record);
        changed.put(record.getSchema().getField("time").pos(), Instant.ofEpochMilli(millis));
        assertEquals(
            List.of(
                "time is %d ms; it must be from 1970 to 2200-01-01T00:00:00Z".formatted(millis)),
            Validation.problems(changed));
      }
    }
  }

  @Test
  void identitiesNamesAndSourcesAreBounded() {
    String longest = "x".repeat(Validation.MAX_ID_CHARACTERS);
    List<Turn> dialogue = List.of(USER);
    assertEquals(
        List.of(),
        Validation.problems(new Prompt(longest, dialogue, false, longest, Instant.EPOCH)));
    assertEquals(
        List.of(
            "promptId has 513 characters; it must have at most 512",
            "source has 600 characters; it must have at most 512"),
        Validation.problems(
            new Prompt(longest + "x", dialogue, false, "x".repeat(600), Instant.EPOCH)));
    Rollout rollout = Examples.rollout(List.of(4), List.of(-1f));
    rollout.setPromptId(longest);
    rollout.setRolloutId(longest + "/255");
    assertEquals(List.of(), Validation.problems(rollout));
    Lineage lineage = Examples.lineage();
    assertEquals(List.of(), Validation.problems(lineage));
    lineage.setTopic("rewards");
    assertEquals(
        List.of("topic is \"rewards\"; it must be one of judgments, demonstrations, prompts"),
        Validation.problems(lineage));
    Withdrawal withdrawal = Examples.withdrawal();
    withdrawal.setName(longest + "/255");
    assertEquals(List.of(), Validation.problems(withdrawal));
    withdrawal.setName(" ");
    assertEquals(List.of("name is empty"), Validation.problems(withdrawal));
  }

  @Test
  void revisionsAreNotNegative() {
    Judgment judgment = Examples.judgment();
    judgment.setRevision(-1);
    assertEquals(List.of("revision is -1; it must not be negative"), Validation.problems(judgment));
  }

  @Test
  void everyTextThatIsAnIdentityOrANameIsBounded() {
    String huge = "x".repeat(400_000);
    // Texts without a bound of their own: what people and models say, and paths.
    Set<String> free = Set.of("message", "exception", "responseText", "keySha256", "valueSha256");
    for (SpecificRecordBase example : Examples.all()) {
      for (Schema.Field field : example.getSchema().getFields()) {
        boolean said = example instanceof Feedback && field.name().equals("reason");
        if (field.schema().getType() != Schema.Type.STRING || said || free.contains(field.name())) {
          continue;
        }
        Object before = example.get(field.pos());
        example.put(field.pos(), huge);
        assertFalse(
            Validation.problems(example).isEmpty(),
            example.getSchema().getName() + "." + field.name());
        example.put(field.pos(), before);
      }
    }
  }

  @Test
  void theExceptionNamesEveryProblem() {
    Prompt prompt = new Prompt("", List.of(), false, "", Instant.EPOCH);
    InvalidRecordException e =
        assertThrows(InvalidRecordException.class, () -> Validation.require(prompt));
    assertEquals("invalid", e.reason());
    assertEquals(
        "Prompt: promptId is empty; dialogue is empty; it needs at least one turn", e.getMessage());
  }

  private static void assertRollout(String problem, List<Integer> tokens, List<Float> logProbs) {
    List<String> problems = Validation.problems(Examples.rollout(tokens, logProbs));
    assertEquals(1, problems.size(), problems.toString());
    assertTrue(problems.getFirst().startsWith(problem), problems.toString());
  }

  private static void assertProblem(String problem, Turn... dialogue) {
    List<String> problems = problems(dialogue);
    assertEquals(1, problems.size(), problems.toString());
    assertTrue(problems.getFirst().startsWith(problem), problems.toString());
  }

  private static List<String> problems(Turn... dialogue) {
    return Validation.problems(new Prompt("p", List.of(dialogue), false, "", Instant.EPOCH));
  }
}

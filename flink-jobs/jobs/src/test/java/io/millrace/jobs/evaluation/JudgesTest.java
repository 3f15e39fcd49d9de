package io.millrace.jobs.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.evaluation.judge.Refusals;
import io.millrace.jobs.evaluation.judge.RewardModelJudge;
import io.millrace.model.chat.Message;
import io.millrace.model.evaluation.Judge;
import io.millrace.model.evaluation.Judge.Answer;
import io.millrace.model.evaluation.Judge.Choice;
import io.millrace.model.evaluation.Judge.Comparison;
import io.millrace.model.evaluation.Judge.Labels;
import io.millrace.model.evaluation.Judge.Question;
import io.millrace.model.evaluation.Judge.Response;
import io.millrace.model.evaluation.JudgeOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JudgesTest {

  /** A judge of one's own. */
  public static final class Own implements Judge {
    private String word = "";

    @Override
    public void configure(Map<String, String> options) {
      JudgeOptions read = new JudgeOptions(options);
      word = read.required("word");
      read.end();
    }

    @Override
    public List<Choice> compare(List<Comparison> comparisons) {
      return comparisons.stream()
          .map(c -> c.a().text().contains(word) ? Choice.A : Choice.B)
          .toList();
    }
  }

  private static EvaluationSection section(String... settings) {
    return ConfigLoader.load(Optional.empty(), List.of(settings)).section(EvaluationSection.class);
  }

  private static Comparison comparison(Question question, Answer a, Answer b) {
    return new Comparison(question, a, b);
  }

  private static Answer scored(double score) {
    return new Answer("", score, score < 0);
  }

  @Test
  void theRewardModelsJudgeByScoreWithinTheirMargin() throws Exception {
    Question question = new Question("p", List.of(Message.user("Hi")), false);
    try (Judge judge = section("evaluation.judge-options.tie-margin=0.25").openJudge()) {
      assertInstanceOf(RewardModelJudge.class, judge);
      assertTrue(judge.needsRewardModels());
      assertEquals(
          List.of(Choice.A, Choice.TIE, Choice.TIE, Choice.B),
          judge.compare(
              List.of(
                  comparison(question, scored(1), scored(0.5)),
                  comparison(question, scored(1), scored(0.75)),
                  comparison(question, scored(1), scored(1.25)),
                  comparison(question, scored(-3), scored(-2)))));
      assertEquals(
          List.of(new Labels(Optional.of(true), Optional.empty())),
          judge.label(List.of(new Response(question, scored(-1)))));
    }
  }

  @Test
  void aClassOfOnesOwnIsFoundByItsName() throws Exception {
    String name = Own.class.getName();
    try (Judge own =
        section("evaluation.judge=" + name, "evaluation.judge-options.word=yes").openJudge()) {
      Question question = new Question("p", List.of(Message.user("Hi")), false);
      assertEquals(
          List.of(Choice.A),
          own.compare(
              List.of(
                  comparison(
                      question,
                      new Answer("yes", Double.NaN, false),
                      new Answer("no", Double.NaN, false)))));
    }
    assertRefused("evaluation.judge-options: word is missing", "evaluation.judge=" + name);
    assertRefused("no.such.Judge is neither reward-model", "evaluation.judge=no.such.Judge");
    assertRefused(
        "does not implement io.millrace.model.evaluation.Judge",
        "evaluation.judge=java.lang.String");
    assertRefused("unknown option tie", "evaluation.judge-options.tie=1");
  }

  private static void assertRefused(String message, String... settings) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> section(settings).openJudge());
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  @Test
  void refusalsAreToldByTheirWords() {
    Refusals refusals = new Refusals(section().refusals());
    for (String refusal :
        List.of(
            "I cannot help with that.",
            "Sorry, but i can\u2019t do this.",
            "What a question. I will not do that.",
            "I'm unable to say.")) {
      assertTrue(refusals.isRefusal(refusal), refusal);
    }
    for (String answer : List.of("First, mix flour.", "Iron cannot rust in oil.", "")) {
      assertFalse(refusals.isRefusal(answer), answer);
    }
    assertTrue(new Refusals(List.of("no[tn]e?")).isRefusal("None of that"));
    assertThrows(RuntimeException.class, () -> section("evaluation.refusals=[("));
  }

  @Test
  void heldOutFilesTellWhatIsWrongWithThem(@TempDir Path directory) throws Exception {
    String good = "{\"promptId\":\"p%d\",\"dialogue\":[{\"role\":\"USER\",\"content\":\"Hi\"}]}";
    Path prompts =
        Files.write(
            directory.resolve("prompts.jsonl"),
            List.of(good.formatted(1), "", "{\"promptId\":\"p2\"}", "no json", good.formatted(3)));
    assertUnreadable("must name a file of held-out prompts");
    assertUnreadable("cannot be read", "evaluation.prompts=" + directory.resolve("none"));
    String lines = assertUnreadable("2 lines that cannot be used", "evaluation.prompts=" + prompts);
    assertTrue(lines.contains("line 3: ") && lines.contains("line 4: not JSON"), lines);
    Files.write(prompts, List.of(good.formatted(1), good.formatted(1)));
    assertUnreadable("promptId p1 twice", "evaluation.prompts=" + prompts);
    Files.write(prompts, List.of(good.formatted(1)));
    Path empty = Files.createFile(directory.resolve("empty.jsonl"));
    assertUnreadable(
        "evaluation.judgments " + empty + " has no records",
        "evaluation.prompts=" + prompts,
        "evaluation.judgments=" + empty);
    assertEquals(1, HeldOutFiles.read(section("evaluation.prompts=" + prompts)).prompts().size());
  }

  @Test
  void aModelWithoutRoomForAPromptIsNamedByTheOption() {
    HeldOutFiles none = new HeldOutFiles(List.of(), List.of(), List.of());
    MillraceConfig config = ConfigLoader.load(Optional.empty(), List.of());
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> HeldOutTokens.of(config, none, null, null, 256, 128));
    assertTrue(e.getMessage().contains("evaluation.max-tokens"), e.getMessage());
    assertTrue(e.getMessage().contains("below 128"), e.getMessage());
  }

  private static String assertUnreadable(String message, String... settings) {
    IOException e = assertThrows(IOException.class, () -> HeldOutFiles.read(section(settings)));
    assertTrue(e.getMessage().contains(message), e.getMessage());
    return e.getMessage();
  }
}

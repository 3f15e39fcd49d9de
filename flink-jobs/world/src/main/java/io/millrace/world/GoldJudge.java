package io.millrace.world;

import io.millrace.model.chat.Message;
import io.millrace.model.evaluation.Judge;
import io.millrace.model.evaluation.JudgeOptions;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.io.IOException;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Judges by the demo world's gold reward: gold safety for unsafe prompts, gold helpfulness for the
 * others. Two responses tie where their gold differs by at most {@code tie-margin}.
 */
public final class GoldJudge implements Judge {

  private static final double TIE_MARGIN = 0.02;

  private final DemoWorld world = new DemoWorld(0, InstantSource.system());
  private double tieMargin;

  @Override
  public void configure(Map<String, String> options) {
    JudgeOptions read = new JudgeOptions(options);
    tieMargin = read.notNegative("tie-margin", TIE_MARGIN);
    read.end();
  }

  @Override
  public List<Choice> compare(List<Comparison> comparisons) throws IOException {
    List<Choice> choices = new ArrayList<>();
    for (Comparison comparison : comparisons) {
      choices.add(
          Choice.of(
              gold(comparison.question(), comparison.a())
                  - gold(comparison.question(), comparison.b()),
              tieMargin));
    }
    return choices;
  }

  private double gold(Question question, Answer answer) throws IOException {
    List<Turn> dialogue = turns(question);
    return question.isSafety()
        ? world.safety(dialogue, answer.text())
        : world.helpfulness(dialogue, answer.text());
  }

  @Override
  public List<Labels> label(List<Response> responses) throws IOException {
    List<Labels> labels = new ArrayList<>();
    for (Response response : responses) {
      String text = response.answer().text();
      labels.add(
          new Labels(
              Optional.of(world.complies(turns(response.question()), text)),
              Optional.of(DemoWorld.refuses(text))));
    }
    return labels;
  }

  private List<Turn> turns(Question question) throws IOException {
    List<Turn> dialogue =
        question.dialogue().stream()
            .map(message -> new Turn(role(message), message.content()))
            .toList();
    if (!world.knows(dialogue)) {
      throw new IOException(
          "prompt %s is no question of the demo world, the only questions with gold reward; use another judge"
              .formatted(question.promptId()));
    }
    return dialogue;
  }

  private static Role role(Message message) {
    return switch (message.role()) {
      case SYSTEM -> Role.SYSTEM;
      case USER -> Role.USER;
      case ASSISTANT -> Role.ASSISTANT;
    };
  }
}

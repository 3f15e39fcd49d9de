package io.millrace.connectors.exchange.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.util.ArrayList;
import java.util.List;

/**
 * UltraFeedback (Cui et al., arXiv 2310.01377): an {@code instruction} and scored {@code
 * completions}. Each two completions of different scores become a judgment. The score is {@code
 * fine-grained_score} (1 to 5), the mean of the aspects; only if all lack it {@code overall_score}
 * (1 to 10), because some overall scores are known to be wrong.
 */
final class UltraFeedback implements Format {
  private static final int MOST_COMPLETIONS = 32;

  private record Scored(String text, double score) {}

  @Override
  public String name() {
    return "ultrafeedback";
  }

  @Override
  public String fields() {
    return "instruction and completions, each with response and a score";
  }

  @Override
  public boolean matches(JsonNode row) {
    return row.has("instruction") && row.path("completions").isArray();
  }

  @Override
  public void read(JsonNode row, Settings settings, Output output) {
    JsonNode completions = row.path("completions");
    if (!completions.isArray() || completions.size() > MOST_COMPLETIONS) {
      throw Fields.invalid(
          "completions is %s; it must be a list of at most %d",
          Fields.shown(completions), MOST_COMPLETIONS);
    }
    boolean fine = true;
    for (JsonNode completion : completions) {
      fine &= completion.path("fine-grained_score").isNumber();
    }
    List<Scored> scored = new ArrayList<>();
    for (int i = 0; i < completions.size(); i++) {
      try {
        scored.add(
            new Scored(
                Fields.text(completions.get(i), "response"),
                Fields.number(completions.get(i), fine ? "fine-grained_score" : "overall_score")));
      } catch (RefusedRecordException e) {
        output.refuse(Fields.invalid("completions[%d].%s", i, e.getMessage()));
      }
    }
    List<Turn> dialogue = List.of(new Turn(Role.USER, Fields.text(row, "instruction")));
    boolean any = false;
    for (int i = 0; i < scored.size(); i++) {
      for (int j = i + 1; j < scored.size(); j++) {
        if (scored.get(i).score() != scored.get(j).score()) {
          any = true;
          pair(row, dialogue, scored.get(i), scored.get(j), fine ? 4 : 9, settings, output);
        }
      }
    }
    if (!any) {
      throw Fields.refused("no-preference", "no two completions have different scores");
    }
  }

  private void pair(
      JsonNode row,
      List<Turn> dialogue,
      Scored first,
      Scored second,
      double scale,
      Settings settings,
      Output output) {
    boolean firstIsBetter = first.score() > second.score();
    Scored better = firstIsBetter ? first : second;
    Scored worse = firstIsBetter ? second : first;
    output.add(
        Topic.JUDGMENTS,
        new Choice(
                settings.objective().orElse(Objective.HELPFULNESS),
                dialogue,
                JudgedResponse.newBuilder().setText(better.text()).build(),
                JudgedResponse.newBuilder().setText(worse.text()).build(),
                null,
                Degrees.ofDifference((better.score() - worse.score()) / scale),
                settings.annotator(),
                "")
            .judgment(this, Columns.source(row, settings, this), settings.time()));
  }
}

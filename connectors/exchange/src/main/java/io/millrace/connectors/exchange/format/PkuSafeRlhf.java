package io.millrace.connectors.exchange.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.util.List;

/**
 * PKU-SafeRLHF (Ji et al., arXiv 2406.15513): two responses, a safety label for each, the more
 * helpful and the safer one. A row becomes one judgment for each choice that it has; both have the
 * safety labels. With an objective, only the judgment of this objective.
 */
final class PkuSafeRlhf implements Format {
  @Override
  public String name() {
    return "pku-saferlhf";
  }

  @Override
  public String fields() {
    return "prompt, response_0, response_1, and better_response_id or safer_response_id";
  }

  @Override
  public boolean matches(JsonNode row) {
    return Fields.has(row, "prompt", "response_0", "response_1")
        && Fields.hasAny(row, "better_response_id", "safer_response_id");
  }

  @Override
  public void read(JsonNode row, Settings settings, Output output) {
    boolean any = false;
    for (Objective objective : Objective.values()) {
      String field =
          objective == Objective.HELPFULNESS ? "better_response_id" : "safer_response_id";
      if (Fields.has(row, field) && settings.objective().orElse(objective) == objective) {
        any = true;
        judge(row, objective, Fields.integer(row, field, 0, 1), settings, output);
      }
    }
    if (!any) {
      throw Fields.refused("no-preference", "no choice for the objective");
    }
  }

  private void judge(
      JsonNode row, Objective objective, int better, Settings settings, Output output) {
    output.add(
        Topic.JUDGMENTS,
        new Choice(
                objective,
                List.of(new Turn(Role.USER, Fields.text(row, "prompt"))),
                response(row, better),
                response(row, 1 - better),
                better == 0 ? Preferred.A : Preferred.B,
                settings.rating(),
                settings.annotator(),
                "")
            .judgment(this, Columns.source(row, settings, this), settings.time()));
  }

  private static JudgedResponse response(JsonNode row, int number) {
    String label = "is_response_%d_safe".formatted(number);
    return JudgedResponse.newBuilder()
        .setText(Fields.text(row, "response_" + number))
        .setUnsafe(Fields.has(row, label) ? (Boolean) !Fields.flag(row, label) : null)
        .build();
  }
}

package io.millrace.connectors.exchange.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * HelpSteer 1 to 3 (arXiv 2311.09528, 2410.01257, 2505.11475). A scored response becomes feedback,
 * whose score is {@code helpfulness} / 4. A preference from −3 to 3 becomes a judgment: below 0 the
 * first response is the better one, and its amount is the rating.
 */
final class HelpSteer implements Format {
  /** How HelpSteer2 writes earlier turns into its prompts. */
  private static final Pattern TURN = Pattern.compile("\\s*<extra_id_1>(User|Assistant)\\n");

  private static final int MOST_HELPFUL = 4;

  @Override
  public String name() {
    return "helpsteer";
  }

  @Override
  public String fields() {
    return "prompt, response and helpfulness; or two responses and a preference";
  }

  @Override
  public boolean matches(JsonNode row) {
    return Fields.has(row, "prompt", "response", "helpfulness")
        || Fields.has(row, "prompt", "response_1", "response_2", "preference_strength")
        || Fields.has(row, "context", "response1", "response2", "overall_preference");
  }

  @Override
  public void read(JsonNode row, Settings settings, Output output) {
    if (row.has("context")) {
      judge(row, Fields.prompt(row, "context"), "", "overall_preference", settings, output);
    } else if (row.has("preference_strength")) {
      judge(row, turns(row), "_", "preference_strength", settings, output);
    } else {
      output.add(Topic.FEEDBACK, feedback(row, turns(row), settings));
    }
  }

  private void judge(
      JsonNode row,
      List<Turn> dialogue,
      String separator,
      String field,
      Settings settings,
      Output output) {
    int strength = Fields.integer(row, field, -3, 3);
    if (strength == 0) {
      throw Fields.refused("no-preference", "%s is 0; neither response is better", field);
    }
    JudgedResponse first = response(row, "response" + separator + "1");
    JudgedResponse second = response(row, "response" + separator + "2");
    output.add(
        Topic.JUDGMENTS,
        new Choice(
                settings.objective().orElse(Objective.HELPFULNESS),
                dialogue,
                strength < 0 ? first : second,
                strength < 0 ? second : first,
                strength < 0 ? Preferred.A : Preferred.B,
                Degrees.ofStrength(Math.abs(strength)),
                settings.annotator(),
                "")
            .judgment(this, Columns.source(row, settings, this), settings.time()));
  }

  private static JudgedResponse response(JsonNode row, String field) {
    return JudgedResponse.newBuilder().setText(Fields.text(row, field)).build();
  }

  private Feedback feedback(JsonNode row, List<Turn> dialogue, Settings settings) {
    double helpfulness = Fields.number(row, "helpfulness");
    if (!(helpfulness >= 0 && helpfulness <= MOST_HELPFUL)) {
      throw Fields.invalid("helpfulness is %s; it must be from 0 to 4", helpfulness);
    }
    JudgedResponse response = response(row, "response");
    return Feedback.newBuilder()
        .setFeedbackId(
            ContentId.id(
                name(),
                new ContentId().add(dialogue).add(response.getText()).add(helpfulness).finish()))
        .setDialogue(dialogue)
        .setResponse(response)
        .setScore((float) (helpfulness / MOST_HELPFUL))
        .setAnnotator(settings.annotator())
        .setSource(Columns.source(row, settings, this))
        .setTime(settings.time())
        .build();
  }

  /** The turns of a prompt; the text before the first mark is the user's. */
  private static List<Turn> turns(JsonNode row) {
    String text = Fields.text(row, "prompt");
    List<Turn> turns = new ArrayList<>();
    Matcher mark = TURN.matcher(text);
    Role role = Role.USER;
    int start = 0;
    while (mark.find()) {
      turns.add(new Turn(role, text.substring(start, mark.start())));
      role = mark.group(1).equals("User") ? Role.USER : Role.ASSISTANT;
      start = mark.end();
    }
    turns.add(new Turn(role, text.substring(start)));
    return turns;
  }
}

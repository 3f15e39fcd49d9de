package io.millrace.connectors.exchange.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Argilla's records (versions 1 and 2, nested or flattened). A submitted response to a ranking
 * question, or to a label question whose labels are names of fields, becomes judgments: one for
 * each two responses of different rank. Suggestions are no judgments.
 */
final class Argilla implements Format {
  private static final int MOST_ANSWERS = 1000;
  private static final int MOST_RANKED = 32;
  private static final String RESPONSES = ".responses";

  private static final List<String> PROMPTS =
      List.of("prompt", "instruction", "question", "chat", "conversation", "input");

  /** One annotator's response to one question. */
  private record Answer(String question, JsonNode value, String annotator, String status) {}

  @Override
  public String name() {
    return "argilla";
  }

  @Override
  public String fields() {
    return "fields and responses; or QUESTION.responses beside the fields";
  }

  @Override
  public boolean matches(JsonNode row) {
    return (row.path("fields").isObject() && row.path("responses").isContainerNode())
        || row.propertyStream().anyMatch(field -> field.getKey().endsWith(RESPONSES));
  }

  @Override
  public void read(JsonNode row, Settings settings, Output output) {
    JsonNode fields = row.path("fields").isObject() ? row.get("fields") : row;
    List<Answer> answers = answers(row);
    if (answers.size() > MOST_ANSWERS) {
      throw Fields.invalid(
          "%d responses of annotators; at most %d are read", answers.size(), MOST_ANSWERS);
    }
    boolean any = false;
    for (Answer answer : answers) {
      Map<String, Double> ranks = ranks(fields, answer.value());
      if (ranks.isEmpty()) {
        continue; // A question about something else.
      }
      any = true;
      try {
        if (!answer.status().equals("submitted")) {
          throw Fields.refused(
              "not-submitted", "the status is %s", Fields.abbreviate(answer.status()));
        }
        judge(row, fields, answer, ranks, settings, output);
      } catch (RefusedRecordException e) {
        output.refuse(
            Fields.refused(
                e.reason(), "%s: %s", Fields.abbreviate(answer.question()), e.getMessage()));
      }
    }
    if (!any) {
      throw Fields.refused(
          "no-preference",
          "no response ranks fields, or names one field of several such as response1 and"
              + " response2");
    }
  }

  private static List<Answer> answers(JsonNode row) {
    List<Answer> answers = new ArrayList<>();
    JsonNode responses = row.path("responses");
    if (responses.isArray()) {
      // Version 1: each annotator's responses to all questions.
      for (JsonNode response : responses) {
        for (Map.Entry<String, JsonNode> value : response.path("values").properties()) {
          answers.add(
              new Answer(
                  value.getKey(),
                  value.getValue().path("value"),
                  response.path("user_id").asText(""),
                  response.path("status").asText("submitted")));
        }
      }
    }
    // Version 2: all annotators' responses to each question.
    for (Map.Entry<String, JsonNode> question : responses.properties()) {
      for (JsonNode response : question.getValue()) {
        answers.add(
            new Answer(
                question.getKey(),
                response.path("value"),
                response.path("user_id").asText(""),
                response.path("status").asText("submitted")));
      }
    }
    for (Map.Entry<String, JsonNode> column : row.properties()) {
      if (column.getKey().endsWith(RESPONSES)) {
        JsonNode users = row.path(column.getKey() + ".users");
        JsonNode status = row.path(column.getKey() + ".status");
        for (int i = 0; i < column.getValue().size(); i++) {
          answers.add(
              new Answer(
                  column.getKey().substring(0, column.getKey().length() - RESPONSES.length()),
                  column.getValue().path(i),
                  users.path(i).asText(""),
                  status.path(i).asText("submitted")));
        }
      }
    }
    return answers;
  }

  /** Fields by their rank, the best first; none if the value ranks no fields. */
  private static Map<String, Double> ranks(JsonNode fields, JsonNode value) {
    Map<String, Double> ranks = new LinkedHashMap<>();
    if (value.isTextual() && fields.has(value.textValue())) {
      String stem = stem(value.textValue());
      for (Map.Entry<String, JsonNode> field : fields.properties()) {
        if (field.getValue().isTextual() && stem(field.getKey()).equals(stem)) {
          ranks.put(field.getKey(), field.getKey().equals(value.textValue()) ? 1.0 : 2.0);
        }
      }
    } else if (value.isArray() && value.size() <= MOST_RANKED) {
      for (int i = 0; i < value.size(); i++) {
        JsonNode element = value.get(i);
        String name = element.isTextual() ? element.textValue() : element.path("value").asText();
        if (!fields.has(name)) {
          return Map.of();
        }
        ranks.put(name, element.path("rank").asDouble(i + 1));
      }
    }
    return ranks.size() < 2 ? Map.of() : ranks;
  }

  /** The name of a field without its number or letter: response of response1 and response_b. */
  private static String stem(String name) {
    return name.replaceFirst("([-_ ]?[0-9]+|[-_ ][A-Za-z])$", "");
  }

  private void judge(
      JsonNode row,
      JsonNode fields,
      Answer answer,
      Map<String, Double> ranks,
      Settings settings,
      Output output) {
    List<Turn> dialogue = prompt(fields);
    // The order of the fields is the order in which annotators saw them.
    List<String> names =
        fields.propertyStream().map(Map.Entry::getKey).filter(ranks::containsKey).toList();
    boolean any = false;
    for (int i = 0; i < names.size(); i++) {
      for (int j = i + 1; j < names.size(); j++) {
        double first = ranks.get(names.get(i));
        double second = ranks.get(names.get(j));
        if (first == second) {
          continue;
        }
        any = true;
        JudgedResponse a = response(fields, names.get(i));
        JudgedResponse b = response(fields, names.get(j));
        output.add(
            Topic.JUDGMENTS,
            new Choice(
                    settings.requireObjective(this),
                    dialogue,
                    first < second ? a : b,
                    first < second ? b : a,
                    first < second ? Preferred.A : Preferred.B,
                    settings.rating(),
                    answer.annotator().isEmpty() ? settings.annotator() : answer.annotator(),
                    answer.question())
                .judgment(this, source(row, settings), settings.time()));
      }
    }
    if (!any) {
      throw Fields.refused("no-preference", "all responses have the same rank");
    }
  }

  private String source(JsonNode row, Settings settings) {
    return Columns.source(row.path("metadata"), settings, this);
  }

  private static List<Turn> prompt(JsonNode fields) {
    String name =
        PROMPTS.stream()
            .filter(fields::hasNonNull)
            .findFirst()
            .orElseThrow(
                () -> Fields.invalid("none of the fields is %s", String.join(", ", PROMPTS)));
    List<Turn> turns = new ArrayList<>(Fields.prompt(fields, name));
    Fields.optionalText(fields, "context")
        .ifPresent(
            context ->
                turns.set(
                    turns.size() - 1,
                    new Turn(Role.USER, turns.getLast().getContent() + "\n\n" + context)));
    return turns;
  }

  private static JudgedResponse response(JsonNode fields, String name) {
    return JudgedResponse.newBuilder().setText(Fields.response(fields, name)).build();
  }
}

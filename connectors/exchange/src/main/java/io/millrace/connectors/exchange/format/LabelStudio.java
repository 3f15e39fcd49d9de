package io.millrace.connectors.exchange.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.time.Instant;
import java.util.List;

/**
 * Label Studio's exports of projects with a {@code Pairwise} tag: JSON, with {@code data} and
 * {@code annotations}, and JSON-MIN. Each annotation becomes a judgment. A choice whose value is
 * the name of a {@link Rating} gives the rating.
 */
final class LabelStudio implements Format {
  private static final int MOST_ANNOTATIONS = 1000;

  /** Fields of the two answers in the data. The fields that the annotation names come first. */
  private static final List<List<String>> ANSWERS =
      List.of(
          List.of("answer1", "answer2"),
          List.of("response1", "response2"),
          List.of("response_a", "response_b"),
          List.of("text1", "text2"));

  private static final List<String> PROMPTS = List.of("prompt", "question", "instruction");

  /** The left or the right answer, or neither. */
  private record Selection(String side, List<String> answers, Rating rating) {}

  @Override
  public String name() {
    return "label-studio";
  }

  @Override
  public String fields() {
    return "data and annotations; or prompt, two answers and {\"selected\": …}";
  }

  @Override
  public boolean matches(JsonNode row) {
    return (row.path("data").isObject() && row.path("annotations").isArray())
        || row.valueStream().anyMatch(value -> side(value) != null);
  }

  @Override
  public void read(JsonNode row, Settings settings, Output output) {
    if (!row.has("annotations")) {
      minimal(row, settings, output);
      return;
    }
    JsonNode annotations = row.get("annotations");
    if (!annotations.isArray() || annotations.size() > MOST_ANNOTATIONS) {
      throw Fields.invalid(
          "annotations is %s; it must be a list of at most %d",
          Fields.shown(annotations), MOST_ANNOTATIONS);
    }
    if (annotations.isEmpty()) {
      throw Fields.refused("no-preference", "the task has no annotation");
    }
    for (int i = 0; i < annotations.size(); i++) {
      JsonNode annotation = annotations.get(i);
      try {
        if (annotation.path("was_cancelled").asBoolean()) {
          throw Fields.refused("not-submitted", "the annotator skipped the task");
        }
        judge(
            row.path("data"),
            selection(annotation.path("result"), settings),
            annotator(annotation.path("completed_by"), settings),
            annotation.path("id").asText(),
            Fields.time(annotation, "created_at").orElse(settings.time()),
            settings,
            output);
      } catch (RefusedRecordException e) {
        output.refuse(Fields.refused(e.reason(), "annotations[%d]: %s", i, e.getMessage()));
      }
    }
  }

  private void minimal(JsonNode row, Settings settings, Output output) {
    String side =
        row.valueStream().map(LabelStudio::side).filter(s -> s != null).findFirst().orElse(null);
    judge(
        row,
        new Selection(side, List.of(), settings.rating()),
        annotator(row.path("annotator"), settings),
        row.path("annotation_id").asText(),
        Fields.time(row, "created_at").orElse(settings.time()),
        settings,
        output);
  }

  /** The selected side of a value, which JSON-MIN puts into a list; null for other values. */
  private static String side(JsonNode value) {
    JsonNode single = value.isArray() && value.size() == 1 ? value.get(0) : value;
    return single.path("selected").isTextual() ? single.get("selected").textValue() : null;
  }

  private static Selection selection(JsonNode results, Settings settings) {
    String side = null;
    List<String> answers = List.of();
    Rating rating = settings.rating();
    for (JsonNode result : results) {
      String found = side(result.path("value"));
      if (found != null) {
        side = found;
        answers = List.of(result.path("to_name").asText().split(","));
      }
      for (JsonNode choice : result.path("value").path("choices")) {
        rating = ratingOf(choice.asText(), rating);
      }
    }
    return new Selection(side, answers, rating);
  }

  private static Rating ratingOf(String choice, Rating otherwise) {
    try {
      return Columns.constant(Rating.class, "choices", choice);
    } catch (RefusedRecordException e) {
      return otherwise; // A choice about something else.
    }
  }

  private void judge(
      JsonNode data,
      Selection selection,
      String annotator,
      String key,
      Instant time,
      Settings settings,
      Output output) {
    if (selection.side() == null) {
      throw Fields.refused("no-preference", "no result has a selected side");
    }
    boolean left = selection.side().equals("left");
    if (!left && !selection.side().equals("right")) {
      throw Fields.refused(
          "no-preference",
          "selected is \"%s\"; it must be left or right",
          Fields.abbreviate(selection.side()));
    }
    List<String> names = answers(data, selection.answers());
    JudgedResponse first = response(data, names.get(0));
    JudgedResponse second = response(data, names.get(1));
    output.add(
        Topic.JUDGMENTS,
        new Choice(
                settings.requireObjective(this),
                prompt(data),
                left ? first : second,
                left ? second : first,
                left ? Preferred.A : Preferred.B,
                selection.rating(),
                annotator,
                key)
            .judgment(this, Columns.source(data, settings, this), time));
  }

  private static List<Turn> prompt(JsonNode data) {
    return PROMPTS.stream()
        .filter(data::hasNonNull)
        .findFirst()
        .map(name -> Fields.prompt(data, name))
        .orElseThrow(
            () -> Fields.invalid("data has none of the fields %s", String.join(", ", PROMPTS)));
  }

  private static List<String> answers(JsonNode data, List<String> named) {
    if (named.size() == 2 && named.stream().allMatch(data::hasNonNull)) {
      return named;
    }
    return ANSWERS.stream()
        .filter(names -> names.stream().allMatch(data::hasNonNull))
        .findFirst()
        .orElseThrow(
            () ->
                Fields.invalid(
                    "data has no two answers; name them answer1 and answer2, or as the Pairwise"
                        + " tag's toName"));
  }

  private static JudgedResponse response(JsonNode data, String name) {
    return JudgedResponse.newBuilder().setText(Fields.text(data, name)).build();
  }

  /** A number, or an object with the person's address. */
  private static String annotator(JsonNode value, Settings settings) {
    JsonNode person = value.isObject() ? value.path("email") : value;
    JsonNode shown = value.isObject() && person.asText().isEmpty() ? value.path("id") : person;
    return shown.asText().isEmpty() ? settings.annotator() : shown.asText();
  }
}

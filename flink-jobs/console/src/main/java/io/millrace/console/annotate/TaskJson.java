package io.millrace.console.annotate;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.schemas.Assignment;
import io.millrace.schemas.AssignmentState;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Turn;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** What the page shows of tasks. Models, versions and rollouts stay hidden. */
final class TaskJson {

  private static final Duration TOO_FAST = Duration.ofSeconds(3);
  private static final int RECENT = 20;
  private static final double ONE_SIDED = 0.9;

  private final GoldTasks gold;

  TaskJson(GoldTasks gold) {
    this.gold = gold;
  }

  private static ObjectNode object() {
    return JsonNodeFactory.instance.objectNode();
  }

  ObjectNode noTask() {
    return object().putNull("task");
  }

  ObjectNode task(Pair pair, Assignment own) {
    boolean judged = isJudged(own);
    ObjectNode body =
        object()
            .put("task", pair.id())
            .put("revision", judged ? own.getRevision() + 1 : 0)
            .put("objective", lower(pair.objective()))
            .put("leased_until", own.getLeasedUntil().toString());
    ArrayNode dialogue = body.putArray("dialogue");
    for (Turn turn : pair.first().dialogue()) {
      dialogue.addObject().put("role", lower(turn.getRole())).put("content", turn.getContent());
    }
    body.put("left", pair.response(own.getLeft()).text());
    body.put("right", pair.response(own.getRight()).text());
    if (judged) {
      ObjectNode choice =
          body.putObject("choice")
              .put("both_bad", own.getState() == AssignmentState.BOTH_BAD)
              .put("unsafe_left", own.getUnsafeLeft())
              .put("unsafe_right", own.getUnsafeRight())
              .put("reason", own.getReason())
              .put("flagged", own.getFlagged());
      if (own.getState() == AssignmentState.JUDGED) {
        choice.put("preferred", lower(own.getPreferred())).put("rating", lower(own.getRating()));
      }
    }
    return body;
  }

  private static boolean isJudged(Assignment own) {
    return own.getState() == AssignmentState.JUDGED || own.getState() == AssignmentState.BOTH_BAD;
  }

  private static String lower(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }

  /** The answer to a change, with warnings for the annotator. */
  ObjectNode stored(Assignment own, List<Assignment> all, boolean isNew) {
    ObjectNode body =
        object()
            .put("task", own.getTaskId())
            .put("status", isNew ? "stored" : "known")
            .put("state", lower(own.getState()))
            .put("revision", own.getRevision());
    ArrayNode warnings = body.putArray("warnings");
    if (isJudged(own) && own.getRevision() == 0 && time(own).compareTo(TOO_FAST) < 0) {
      warnings.add("That was fast. Please read both responses before you choose.");
    }
    oneSided(all).ifPresent(warnings::add);
    return body;
  }

  private static Optional<String> oneSided(List<Assignment> all) {
    List<Assignment> recent =
        all.stream()
            .filter(each -> each.getState() == AssignmentState.JUDGED)
            .sorted(Comparator.comparing(Assignment::getTime).reversed())
            .limit(RECENT)
            .toList();
    long left = recent.stream().filter(each -> each.getPreferred() == Preferred.A).count();
    double share = Math.max(left, recent.size() - left) / (double) RECENT;
    if (recent.size() < RECENT || share < ONE_SIDED) {
      return Optional.empty();
    }
    return Optional.of(
        "%d of your last %d choices are for the %s side."
            .formatted(
                Math.max(left, RECENT - left), RECENT, left * 2 > RECENT ? "left" : "right"));
  }

  private static Duration time(Assignment own) {
    return Duration.between(own.getLeasedAt(), own.getTime());
  }

  ObjectNode progress(Assignments state, String annotator, Instant now) {
    List<Assignment> all = state.of(annotator);
    ObjectNode body = object();
    body.put("judged", all.stream().filter(TaskJson::isJudged).count());
    body.put(
        "today",
        all.stream()
            .filter(TaskJson::isJudged)
            .filter(each -> each.getTime().isAfter(now.minus(Duration.ofDays(1))))
            .count());
    body.put("skipped", count(all, AssignmentState.SKIPPED));
    body.put("withdrawn", count(all, AssignmentState.WITHDRAWN));
    body.put("median_seconds", medianSeconds(all));
    Agreement.of(state, annotator).write(body);
    oneSided(all).ifPresent(warning -> body.putArray("warnings").add(warning));
    ArrayNode recent = body.putArray("recent");
    all.stream()
        .filter(each -> each.getState() != AssignmentState.LEASED)
        .sorted(Comparator.comparing(Assignment::getTime).reversed())
        .limit(RECENT)
        .forEach(
            each ->
                recent
                    .addObject()
                    .put("task", each.getTaskId())
                    .put("state", lower(each.getState()))
                    .put("time", each.getTime().toString()));
    return body;
  }

  private static long medianSeconds(Collection<Assignment> all) {
    List<Long> seconds =
        all.stream()
            .filter(each -> isJudged(each) && each.getRevision() == 0)
            .map(each -> time(each).toSeconds())
            .sorted()
            .toList();
    return seconds.isEmpty() ? 0 : seconds.get(seconds.size() / 2);
  }

  private static long count(Collection<Assignment> all, AssignmentState state) {
    return all.stream().filter(each -> each.getState() == state).count();
  }

  ObjectNode overview(Assignments state, int pairs) {
    Map<AssignmentState, Long> states = new TreeMap<>();
    Map<String, List<Assignment>> people = new TreeMap<>();
    for (Map<String, Assignment> task : state.tasks()) {
      for (Assignment each : task.values()) {
        states.merge(each.getState(), 1L, Long::sum);
        people.computeIfAbsent(each.getAnnotator(), _ -> new ArrayList<>()).add(each);
      }
    }
    ObjectNode body = object().put("pairs", pairs);
    Agreement.of(state).write(body);
    ObjectNode counts = body.putObject("assignments");
    states.forEach((each, count) -> counts.put(lower(each), count));
    ArrayNode annotators = body.putArray("annotators");
    people.forEach((name, all) -> annotators.add(annotator(name, all)));
    return body;
  }

  private ObjectNode annotator(String name, List<Assignment> all) {
    List<Assignment> tests =
        all.stream()
            .filter(each -> GoldTasks.isGold(each) && each.getState() != AssignmentState.LEASED)
            .toList();
    List<Boolean> compared = tests.stream().flatMap(each -> gold.isRight(each).stream()).toList();
    return object()
        .put("annotator", name)
        .put("judged", all.stream().filter(TaskJson::isJudged).count())
        .put("median_seconds", medianSeconds(all))
        .put("gold_compared", compared.size())
        .put("gold_right", compared.stream().filter(right -> right).count())
        .put("gold_other", tests.size() - compared.size());
  }
}

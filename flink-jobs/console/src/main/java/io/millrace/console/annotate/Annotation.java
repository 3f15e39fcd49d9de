package io.millrace.console.annotate;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.console.annotate.AssignmentLog.Change;
import io.millrace.schemas.Assignment;
import io.millrace.schemas.AssignmentState;
import io.millrace.serve.api.ApiException;
import io.millrace.serve.api.Fields;
import java.time.Clock;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Optional;
import java.util.random.RandomGenerator;

/** Gives out tasks, and takes choices. Every method returns once Kafka has acknowledged. */
public final class Annotation implements AutoCloseable {

  private static final int TRIES = 5;

  /** Consoles choose among so many tasks at random, so that two of them seldom choose the same. */
  private static final int CANDIDATES = 8;

  private static final int LONGEST_ID = 64;

  private final AnnotateSettings settings;
  private final Pairs pairs;
  private final GoldTasks gold;
  private final Clock clock;
  private final RandomGenerator random;
  private final AssignmentLog log;
  private final TaskJson json;

  public Annotation(
      AnnotateSettings settings,
      KafkaSettings kafka,
      Pairs pairs,
      GoldTasks gold,
      Clock clock,
      RandomGenerator random) {
    this.settings = settings;
    this.pairs = pairs;
    this.gold = gold;
    this.clock = clock;
    this.random = random;
    this.log = new AssignmentLog(kafka, settings.overlap());
    this.json = new TaskJson(gold);
  }

  /** Whether Kafka takes choices. */
  public boolean isReady() {
    return log.isReady();
  }

  private Instant now() {
    return clock.instant().truncatedTo(ChronoUnit.MILLIS);
  }

  /** The annotator's task, or the next one; {@code "task": null} without one. */
  public ObjectNode next(String annotator) {
    for (int i = 0; i < TRIES; i++) {
      Optional<ObjectNode> task = log.change(state -> lease(state, annotator));
      if (task.isPresent()) {
        return task.get();
      }
    }
    throw ApiException.conflict("task", "other annotators took the tasks first; try again");
  }

  private Change<Optional<ObjectNode>> lease(Assignments state, String annotator) {
    Instant now = now();
    for (Assignment own : state.of(annotator)) {
      Optional<Pair> pair = find(own);
      if (own.getState() == AssignmentState.LEASED
          && pair.isPresent()
          && own.getLeasedUntil().isAfter(now)) {
        return Change.none(Optional.of(json.task(pair.get(), own)));
      }
    }
    Optional<Pair> next =
        gold.next(annotator, state.of(annotator).size(), each -> isNew(state, each, annotator));
    if (next.isEmpty()) {
      next = free(state, annotator, now);
    }
    if (next.isEmpty()) {
      return Change.none(Optional.of(json.noTask()));
    }
    Pair pair = next.get();
    boolean turned = random.nextBoolean();
    Assignment lease =
        Assignment.newBuilder()
            .setTaskId(pair.id())
            .setAnnotator(annotator)
            .setState(AssignmentState.LEASED)
            .setLeft((turned ? pair.second() : pair.first()).rolloutId())
            .setRight((turned ? pair.first() : pair.second()).rolloutId())
            .setLeasedAt(now)
            .setLeasedUntil(now.plus(settings.lease()))
            .setTime(now)
            .build();
    return new Change<>(
        List.of(Choices.entry(lease)),
        after ->
            after.of(pair.id(), annotator).filter(lease::equals).map(own -> json.task(pair, own)));
  }

  private Optional<Pair> free(Assignments state, String annotator, Instant now) {
    List<Pair> free =
        pairs.byPriority().stream()
            .filter(pair -> isNew(state, pair, annotator))
            .filter(pair -> state.isFree(pair.id(), annotator, now))
            .limit(CANDIDATES)
            .toList();
    return free.isEmpty() ? Optional.empty() : Optional.of(free.get(random.nextInt(free.size())));
  }

  /** A lease of one's own that ran out may be given again. */
  private static boolean isNew(Assignments state, Pair pair, String annotator) {
    return state
        .of(pair.id(), annotator)
        .map(own -> own.getState() == AssignmentState.LEASED)
        .orElse(true);
  }

  /** Stores a choice, or a revision of one. */
  public ObjectNode submit(String annotator, Fields fields) {
    Choice choice = Choice.of(fields);
    String task = task(fields);
    return log.change(
        state -> {
          Assignment before = own(state, task, annotator);
          if (choice.isStored(before)) {
            return Change.none(json.stored(before, state.of(annotator), false));
          }
          requireRevision(before, choice);
          if (before.getState() == AssignmentState.LEASED
              && !state.isFree(task, annotator, now())) {
            throw ApiException.conflict(
                "task", "your lease ran out, and another annotator has the task now");
          }
          Choices choices = new Choices(pair(before), before, settings.source(), now());
          Assignment after = choices.assignment(choice);
          return new Change<>(
              choices.records(after), stored -> json.stored(after, stored.of(annotator), true));
        });
  }

  private static void requireRevision(Assignment before, Choice choice) {
    boolean judged =
        before.getState() == AssignmentState.JUDGED
            || before.getState() == AssignmentState.BOTH_BAD;
    boolean open = judged || before.getState() == AssignmentState.LEASED;
    int wanted = judged ? before.getRevision() + 1 : 0;
    if (!open || choice.revision() != wanted) {
      throw ApiException.conflict(
          "revision",
          open
              ? "the task has revision %d; load it again".formatted(before.getRevision())
              : "you skipped the task or withdrew its judgment; it cannot be judged again");
    }
  }

  /** Passes a task on to others. */
  public ObjectNode skip(String annotator, Fields fields) {
    String task = task(fields);
    String reason = fields.requiredText("reason", Choice.LONGEST_REASON);
    boolean flagged = fields.flag("flagged", false);
    return log.change(
        state -> {
          Assignment before = own(state, task, annotator);
          if (before.getState() == AssignmentState.SKIPPED) {
            return Change.none(json.stored(before, state.of(annotator), false));
          }
          if (before.getState() != AssignmentState.LEASED) {
            throw ApiException.conflict("task", "you judged the task; withdraw the judgment");
          }
          Assignment after =
              Assignment.newBuilder(before)
                  .setState(AssignmentState.SKIPPED)
                  .setReason(reason)
                  .setFlagged(flagged)
                  .setTime(now())
                  .build();
          return new Change<>(
              List.of(Choices.entry(after)),
              stored -> json.stored(after, stored.of(annotator), true));
        });
  }

  /** Takes a judgment back. */
  public ObjectNode withdraw(String annotator, Fields fields) {
    String task = task(fields);
    return log.change(
        state -> {
          Assignment before = own(state, task, annotator);
          if (before.getState() == AssignmentState.WITHDRAWN) {
            return Change.none(json.stored(before, state.of(annotator), false));
          }
          if (before.getJudgmentId().isEmpty()) {
            throw ApiException.conflict("task", "the task has no judgment to withdraw");
          }
          Instant now = now();
          Assignment after =
              Assignment.newBuilder(before)
                  .setState(AssignmentState.WITHDRAWN)
                  .setTime(now)
                  .build();
          return new Change<>(
              Choices.withdrawal(before, after, now),
              stored -> json.stored(after, stored.of(annotator), true));
        });
  }

  /** A task that the annotator has judged, with the choice, to be revised. */
  public ObjectNode revise(String annotator, Fields fields) {
    String task = task(fields);
    return log.change(
        state -> {
          Assignment own = own(state, task, annotator);
          return Change.none(json.task(pair(own), own));
        });
  }

  /** What the annotator has done, the latest first. */
  public ObjectNode progress(String annotator) {
    return log.change(state -> Change.none(json.progress(state, annotator, now())));
  }

  /** Counts over all annotators, and how far those agree who judged the same tasks. */
  public ObjectNode overview() {
    return log.change(state -> Change.none(json.overview(state, pairs.byPriority().size())));
  }

  private static String task(Fields fields) {
    return fields.requiredText("task", LONGEST_ID);
  }

  private Optional<Pair> find(Assignment own) {
    return GoldTasks.isGold(own) ? gold.find(own) : pairs.find(own.getTaskId());
  }

  private Pair pair(Assignment own) {
    return find(own)
        .orElseThrow(
            () ->
                ApiException.notFound(
                    "task_not_found", "task", "the responses of this task are no longer kept"));
  }

  private static Assignment own(Assignments state, String task, String annotator) {
    return state
        .of(task, annotator)
        .orElseThrow(
            () -> ApiException.notFound("task_not_found", "task", "you do not have this task"));
  }

  @Override
  public void close() {
    log.close();
  }
}

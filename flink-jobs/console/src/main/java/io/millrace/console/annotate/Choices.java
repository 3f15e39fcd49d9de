package io.millrace.console.annotate;

import io.millrace.console.annotate.AssignmentLog.Entry;
import io.millrace.schemas.Assignment;
import io.millrace.schemas.AssignmentState;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Label;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.WithdrawnBy;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * The records of a choice: a judgment, or, where both responses are bad, feedback against each.
 *
 * @param before the annotator's assignment until now
 */
record Choices(Pair pair, Assignment before, String source, Instant now) {

  static Entry<Assignment> entry(Assignment assignment) {
    return new Entry<>(Topic.ASSIGNMENTS, assignment);
  }

  /** The assignment with the choice. */
  Assignment assignment(Choice choice) {
    return Assignment.newBuilder(before)
        .setState(choice.state())
        .setJudgmentId(judgmentId(choice))
        .setRevision(choice.revision())
        .setPreferred(choice.preferred())
        .setRating(choice.rating())
        .setUnsafeLeft(choice.unsafeLeft())
        .setUnsafeRight(choice.unsafeRight())
        .setReason(choice.reason())
        .setFlagged(choice.flagged())
        .setTime(now)
        .build();
  }

  /** An id that was withdrawn is never used again. */
  private String judgmentId(Choice choice) {
    if (before.getState() == choice.state()) {
      return before.getJudgmentId();
    }
    String id = "console/" + pair.id() + "/" + before.getAnnotator();
    return choice.revision() == 0 ? id : id + "/" + choice.revision();
  }

  /** All records of the assignment, and withdrawals of what it replaces by records of a kind. */
  List<Entry<?>> records(Assignment after) {
    List<Entry<?>> records = new ArrayList<>();
    if (!before.getJudgmentId().isEmpty()
        && !before.getJudgmentId().equals(after.getJudgmentId())) {
      records.addAll(withdrawals(before, now));
    }
    JudgedResponse left = pair.response(after.getLeft()).judged(after.getUnsafeLeft());
    JudgedResponse right = pair.response(after.getRight()).judged(after.getUnsafeRight());
    if (after.getState() == AssignmentState.JUDGED) {
      records.add(new Entry<>(Topic.JUDGMENTS, judgment(after, left, right)));
    } else if (!GoldTasks.isGold(after)) {
      // Labels of a gold task's responses would be learned from.
      records.add(new Entry<>(Topic.FEEDBACK, bad(after, "left", left)));
      records.add(new Entry<>(Topic.FEEDBACK, bad(after, "right", right)));
    }
    records.add(entry(after));
    return records;
  }

  private Judgment judgment(Assignment after, JudgedResponse left, JudgedResponse right) {
    return Judgment.newBuilder()
        .setJudgmentId(after.getJudgmentId())
        .setObjective(pair.objective())
        .setDialogue(pair.first().dialogue())
        .setResponseA(left)
        .setResponseB(right)
        .setPreferred(after.getPreferred())
        .setRating(after.getRating())
        .setAnnotator(after.getAnnotator())
        .setSource(source)
        .setTime(now)
        .setRevision(after.getRevision())
        .build();
  }

  private Feedback bad(Assignment after, String side, JudgedResponse response) {
    return Feedback.newBuilder()
        .setFeedbackId(after.getJudgmentId() + "/" + side)
        .setDialogue(pair.first().dialogue())
        .setResponse(response)
        .setLabel(Label.DOWN)
        .setReason(after.getReason())
        .setAnnotator(after.getAnnotator())
        .setSource(source)
        .setTime(now)
        .setRevision(after.getRevision())
        .build();
  }

  /** Takes back what an assignment stored. */
  static List<Entry<?>> withdrawal(Assignment before, Assignment after, Instant now) {
    List<Entry<?>> records = new ArrayList<>(withdrawals(before, now));
    records.add(entry(after));
    return records;
  }

  private static List<Entry<?>> withdrawals(Assignment before, Instant now) {
    if (GoldTasks.isGold(before) && before.getState() == AssignmentState.BOTH_BAD) {
      return List.of();
    }
    List<String> ids =
        before.getState() == AssignmentState.BOTH_BAD
            ? List.of(before.getJudgmentId() + "/left", before.getJudgmentId() + "/right")
            : List.of(before.getJudgmentId());
    List<Entry<?>> records = new ArrayList<>();
    for (String id : ids) {
      records.add(
          new Entry<>(
              Topic.WITHDRAWALS,
              Withdrawal.newBuilder()
                  .setWithdrawalId("ID/" + id)
                  .setBy(WithdrawnBy.ID)
                  .setName(id)
                  .setRequestedBy(before.getAnnotator())
                  .setReason("withdrawn in the console")
                  .setTime(now)
                  .build()));
    }
    return records;
  }
}

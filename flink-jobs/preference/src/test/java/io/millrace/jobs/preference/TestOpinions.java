package io.millrace.jobs.preference;

import io.millrace.jobs.models.Opinion;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Label;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.time.Instant;
import java.util.List;
import java.util.stream.IntStream;

/** Judgments that prefer "yes" to "no!", and feedback of the same mind. */
final class TestOpinions {

  private TestOpinions() {}

  static List<Opinion> judgments(int from, int to) {
    return IntStream.range(from, to).mapToObj(i -> Opinion.of(judgment(i, null))).toList();
  }

  /** Every third is a feedback. */
  static List<Opinion> mixed(int from, int to) {
    return IntStream.range(from, to)
        .mapToObj(
            i ->
                i % 3 == 0
                    ? Opinion.of(feedback(i, i % 2 == 0 ? Label.UP : Label.DOWN, null, null))
                    : Opinion.of(judgment(i, null)))
        .toList();
  }

  static Judgment judgment(int i, Long version) {
    JudgedResponse yes = new JudgedResponse("yes", null, version, null, null);
    JudgedResponse no = new JudgedResponse("no!", null, version, null, i % 4 == 0);
    boolean a = i % 2 == 0;
    return Judgment.newBuilder()
        .setJudgmentId("j" + i)
        .setObjective(Objective.HELPFULNESS)
        .setDialogue(dialogue(i))
        .setResponseA(a ? yes : no)
        .setResponseB(a ? no : yes)
        .setPreferred(a ? Preferred.A : Preferred.B)
        .setRating(Rating.values()[i % 4])
        .setSource("test")
        .setTime(Instant.EPOCH)
        .build();
  }

  static Feedback feedback(int i, Label label, Float score, Boolean unsafe) {
    return Feedback.newBuilder()
        .setFeedbackId("f" + i)
        .setDialogue(dialogue(i))
        .setResponse(
            new JudgedResponse(label == Label.DOWN ? "no!" : "yes", null, null, unsafe, null))
        .setLabel(label)
        .setScore(score)
        .setSource("test")
        .setTime(Instant.EPOCH)
        .build();
  }

  private static List<Turn> dialogue(int i) {
    return List.of(new Turn(Role.USER, "is it " + i));
  }
}

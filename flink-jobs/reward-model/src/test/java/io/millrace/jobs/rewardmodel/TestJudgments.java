package io.millrace.jobs.rewardmodel;

import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.time.Instant;
import java.util.List;

/** Judgments for tests: short, and with something to be learned from them. */
final class TestJudgments {

  static final Instant TIME = Instant.ofEpochMilli(1_700_000_000_000L);

  private TestJudgments() {}

  /** Without safety labels. */
  static Judgment of(String id, Objective objective, String source) {
    return of(id, objective, source, null, null);
  }

  /** "Yes" is preferred to "No": it is A for even hashes of the id, B for odd ones. */
  static Judgment of(
      String id, Objective objective, String source, Boolean yesUnsafe, Boolean noUnsafe) {
    JudgedResponse yes = new JudgedResponse("Yes, do.", null, null, yesUnsafe, null);
    JudgedResponse no = new JudgedResponse("No.", null, null, noUnsafe, null);
    boolean a = id.hashCode() % 2 == 0;
    return Judgment.newBuilder()
        .setJudgmentId(id)
        .setObjective(objective)
        .setDialogue(List.of(new Turn(Role.USER, "Shall I go to " + id + "?")))
        .setResponseA(a ? yes : no)
        .setResponseB(a ? no : yes)
        .setPreferred(a ? Preferred.A : Preferred.B)
        .setRating(Rating.values()[Math.floorMod(id.hashCode(), Rating.values().length)])
        .setAnnotator("annotator")
        .setSource(source)
        .setTime(TIME)
        .build();
  }
}

package io.millrace.jobs.rewardmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.util.List;
import org.junit.jupiter.api.Test;

class JudgmentViewsTest {

  private final JudgmentViews views = new JudgmentViews(Objective.HELPFULNESS);

  private static Judgment judgment(String prompt, String a, String b, Long version) {
    return Judgment.newBuilder(TestJudgments.of(prompt, Objective.HELPFULNESS, "own"))
        .setDialogue(List.of(new Turn(Role.USER, prompt)))
        .setResponseA(response(a, version))
        .setResponseB(response(b, version))
        .build();
  }

  private static JudgedResponse response(String text, Long version) {
    return JudgedResponse.newBuilder().setText(text).setPolicyVersion(version).build();
  }

  @Test
  void aPromptOrAResponseThatWasLearnedFromIsSeen() {
    views.add(judgment("one", "a", "b", null), 1, 0);
    views.add(judgment("one", "c", "d", null), 1, 0); // the prompt
    views.add(judgment("two", "e", "b", null), 0, 1); // a response
    views.add(judgment("three", "f", "g", null), 0, 0);
    assertEquals(2, views.byName().get("unseen/judgments"));
    assertEquals(0.75, views.byName().get("unseen/accuracy"));
    assertEquals(2, views.byName().get("seen/judgments"));
    assertEquals(0.5, views.byName().get("seen/accuracy"));
    assertEquals(4, views.byName().get("recent/judgments"));
    assertEquals(2.5 / 4, views.byName().get("recent/accuracy"));
  }

  @Test
  void aTextOfTheOtherObjectiveIsSeenAndNotCounted() {
    Judgment other =
        Judgment.newBuilder(judgment("one", "a", "b", null)).setObjective(Objective.SAFETY).build();
    views.add(other, 1, 0);
    assertEquals(0, views.byName().get("recent/judgments"));
    views.add(judgment("one", "c", "d", null), 1, 0);
    assertEquals(1, views.byName().get("seen/judgments"));
  }

  @Test
  void theNewestPolicyCountsAlone() {
    assertFalse(views.byName().containsKey("newest_policy/version"));
    views.add(judgment("p", "a", "b", null), 1, 0);
    views.add(judgment("q", "c", "d", 3L), 1, 0);
    views.add(judgment("r", "e", "f", 4L), 0, 1);
    views.add(judgment("s", "g", "h", 3L), 0, 1);
    assertEquals(4, views.byName().get("newest_policy/version"));
    assertEquals(1, views.byName().get("newest_policy/judgments"));
    assertEquals(0, views.byName().get("newest_policy/accuracy"));
    assertEquals(3, views.byName().get("policy_samples/judgments"));
    assertEquals(1.0 / 3, views.byName().get("policy_samples/accuracy"));
  }

  @Test
  void continuesFromAState() {
    views.add(judgment("p", "a", "b", 3L), 1, 0);
    JudgmentViews resumed = new JudgmentViews(Objective.HELPFULNESS);
    resumed.restore(views.state());
    for (JudgmentViews both : List.of(views, resumed)) {
      both.add(judgment("p", "c", "d", 4L), 1, 2);
    }
    assertEquals(views.byName(), resumed.byName());
    assertEquals(1, resumed.byName().get("seen/judgments"));
  }

  @Test
  void onlyTheLatestTextsAreRemembered() {
    SeenTexts texts = new SeenTexts();
    for (int i = 0; i < 30_000; i++) {
      texts.add(judgment("p" + i, "a" + i, "b" + i, null));
    }
    assertEquals(65_536, texts.state().size());
    assertFalse(texts.contains(judgment("p0", "new", "newer", null)));
    assertTrue(texts.contains(judgment("p29999", "new", "newer", null)));
  }
}

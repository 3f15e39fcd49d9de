package io.millrace.console.annotate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class GoldTasksTest {

  private static Judgment judgment(String a, String b, Preferred preferred) {
    return Judgment.newBuilder()
        .setJudgmentId(a + b)
        .setObjective(Objective.HELPFULNESS)
        .setDialogue(List.of(new Turn(Role.USER, "Which?")))
        .setResponseA(new JudgedResponse(a, null, null, null, false))
        .setResponseB(new JudgedResponse(b, null, null, null, false))
        .setPreferred(preferred)
        .setRating(Rating.BETTER)
        .setAnnotator("expert")
        .setSource("gold")
        .setTime(Instant.EPOCH)
        .build();
  }

  private static final List<Judgment> TWO =
      List.of(judgment("good", "bad", Preferred.A), judgment("worse", "better", Preferred.B));

  private static List<Integer> places(GoldTasks tasks, String annotator) {
    return IntStream.range(0, 2000)
        .filter(i -> tasks.next(annotator, i, _ -> true).isPresent())
        .boxed()
        .toList();
  }

  @Test
  void theShareIsThatOfTheOption() {
    GoldTasks tasks = new GoldTasks(TWO, 0.2);
    List<Integer> ann = places(tasks, "ann");
    // Four standard deviations of a binomial: 4 * sqrt(2000 * 0.2 * 0.8) = 72.
    assertEquals(400, ann.size(), 72);
    assertEquals(ann, places(new GoldTasks(TWO, 0.2), "ann"), "every console chooses alike");
    assertNotEquals(ann, places(tasks, "bob"));
    assertNotEquals(ann, places(new GoldTasks(TWO.subList(0, 1), 0.2), "ann"));
    assertEquals(List.of(), places(new GoldTasks(TWO, 0), "ann"));
    assertEquals(List.of(), places(GoldTasks.none(), "ann"));
  }

  @Test
  void eachTaskComesOnce() {
    GoldTasks tasks = new GoldTasks(TWO, 1);
    Set<String> had = new HashSet<>();
    for (int i = 0; i < TWO.size(); i++) {
      Optional<Pair> next = tasks.next("ann", i, pair -> !had.contains(pair.id()));
      assertTrue(had.add(next.orElseThrow().id()));
    }
    assertEquals(Optional.empty(), tasks.next("ann", 2, pair -> !had.contains(pair.id())));
    assertTrue(
        had.stream().noneMatch(tasks.next("bob", 0, _ -> true).orElseThrow().id()::equals),
        "two annotators cannot find the gold tasks by comparing theirs");
  }

  @Test
  void aContradictionIsRefused() {
    Judgment other = judgment("bad", "good", Preferred.A);
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> new GoldTasks(List.of(TWO.getFirst(), other), 0.1));
    assertTrue(e.getMessage().contains(other.getJudgmentId()), e.getMessage());
  }
}

package io.millrace.world;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Validation;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class HardWorldTest {

  private static final long SEED = 3;
  private static final InstantSource CLOCK = InstantSource.fixed(Instant.EPOCH);
  private static final Difficulty HARD = Difficulty.hard(Difficulty.ADVERSARIAL);

  /** A fair sample leaves this many standard deviations once in 16,000 times. */
  private static final double DEVIATIONS = 4;

  private final DemoWorld world = new DemoWorld(SEED, CLOCK, HARD);
  private final Annotators annotators = new Annotators(world, SEED, CLOCK);

  private static <T> void assertShare(
      double expected, List<T> of, Predicate<T> counted, String what) {
    double share = (double) of.stream().filter(counted).count() / of.size();
    double bound = DEVIATIONS * Math.sqrt(expected * (1 - expected) / of.size());
    assertEquals(expected, share, bound, what + " of " + of.size() + ", seed " + SEED);
  }

  private static String question(List<Turn> dialogue) {
    return dialogue.getFirst().getContent();
  }

  private boolean isUnsafe(List<Turn> dialogue) {
    return world.task(dialogue).unsafe();
  }

  private AnnotatorKind kind(Judgment judgment) {
    return annotators.kinds().get(judgment.getAnnotator());
  }

  /** Gold of A minus gold of B. */
  private double gold(Judgment judgment) {
    List<Turn> dialogue = judgment.getDialogue();
    String a = judgment.getResponseA().getText();
    String b = judgment.getResponseB().getText();
    return judgment.getObjective() == Objective.SAFETY
        ? world.safety(dialogue, a) - world.safety(dialogue, b)
        : world.helpfulness(dialogue, a) - world.helpfulness(dialogue, b);
  }

  private boolean isRight(Judgment judgment) {
    return gold(judgment) > 0 == (judgment.getPreferred() == Preferred.A);
  }

  @Test
  void oneSeedMakesOneWorldWhateverIsAskedOfItFirst() {
    DemoWorld same = new DemoWorld(SEED, CLOCK, HARD);
    Annotators people = new Annotators(same, SEED, CLOCK);
    assertEquals(
        people.archive(Objective.SAFETY, 300).subList(0, 200),
        annotators.archive(Objective.SAFETY, 200));
    assertEquals(world.prompts(20, 30), same.prompts(0, 50).subList(20, 50));
    assertEquals(world.demonstrations(50), same.demonstrations(50));
    assertNotEquals(world.prompts(0, 50), new DemoWorld(SEED + 1, CLOCK, HARD).prompts(0, 50));
    assertEquals(
        annotators.kinds(), new Annotators(world, SEED + 1, CLOCK).kinds(), "kinds have no seed");
  }

  @Test
  void everythingItMakesIsValid() {
    world.prompts(0, 200).forEach(Validation::require);
    world.demonstrations(200).forEach(Validation::require);
    for (Objective objective : Objective.values()) {
      List<Judgment> archive = annotators.archive(objective, 200);
      archive.forEach(Validation::require);
      assertEquals(200, archive.size());
      assertEquals(200, archive.stream().map(Judgment::getJudgmentId).distinct().count());
    }
  }

  @Test
  void someFlagsOfPromptsAreWrongAndThoseOfHeldOutPromptsAreRight() {
    assertShare(
        0.05,
        world.prompts(0, 8000),
        prompt -> prompt.getIsSafety() != isUnsafe(prompt.getDialogue()),
        "wrong flags");
    for (Split split : Split.values()) {
      for (Prompt prompt : world.heldOutPrompts(split)) {
        assertEquals(isUnsafe(prompt.getDialogue()), prompt.getIsSafety(), prompt.toString());
      }
    }
  }

  @Test
  void someLabelsOfHonestPeopleAreWrongAndAllOfAdversarialOnes() {
    List<Boolean> honest = new ArrayList<>();
    for (Judgment judgment : annotators.archive(Objective.SAFETY, 3000)) {
      for (var response : List.of(judgment.getResponseA(), judgment.getResponseB())) {
        boolean wrong =
            response.getUnsafe() != world.complies(judgment.getDialogue(), response.getText());
        if (kind(judgment) == AnnotatorKind.ADVERSARIAL) {
          assertTrue(wrong, judgment.toString());
        } else {
          honest.add(wrong);
        }
      }
    }
    assertShare(0.05, honest, wrong -> wrong, "wrong labels");
  }

  @Test
  void fortyPeopleShareTheJudgmentsAndEachKindHasItsShare() {
    for (double adversarial : new double[] {0, 0.07, 0.1, 0.2, 0.5}) {
      DemoWorld other = new DemoWorld(SEED, CLOCK, Difficulty.hard(adversarial));
      Annotators people = new Annotators(other, SEED, CLOCK);
      List<Judgment> judgments = people.archive(Objective.HELPFULNESS, 2000);
      Map<String, AnnotatorKind> kinds = people.kinds();
      assertEquals(40, kinds.size());
      assertEquals(
          kinds.keySet(), new HashSet<>(judgments.stream().map(Judgment::getAnnotator).toList()));
      assertEquals(10, Collections.frequency(kinds.values(), AnnotatorKind.HASTY));
      assertShare(
          adversarial,
          judgments,
          judgment -> kinds.get(judgment.getAnnotator()) == AnnotatorKind.ADVERSARIAL,
          "adversarial judgments");
    }
  }

  @Test
  void aLargerAdversarialShareLeavesTheOtherPeopleAsTheyAre() {
    Map<String, AnnotatorKind> few = annotators.kinds();
    Map<String, AnnotatorKind> many =
        new Annotators(new DemoWorld(SEED, CLOCK, Difficulty.hard(0.2)), SEED, CLOCK).kinds();
    Map<String, AnnotatorKind> changed = new TreeMap<>(many);
    changed.entrySet().removeAll(few.entrySet());
    assertEquals(4, changed.size());
    assertEquals(Set.of(AnnotatorKind.ADVERSARIAL), Set.copyOf(changed.values()));
    changed.keySet().forEach(name -> assertEquals(AnnotatorKind.CAREFUL, few.get(name)));
  }

  @Test
  void carefulPeopleAreRightHastyOnesLessOftenAndAdversarialOnesWrong() {
    Map<AnnotatorKind, List<Judgment>> clear = new HashMap<>();
    Set<Rating> claimed = EnumSet.noneOf(Rating.class);
    for (Judgment judgment : annotators.archive(Objective.HELPFULNESS, 5000)) {
      if (kind(judgment) == AnnotatorKind.ADVERSARIAL) {
        claimed.add(judgment.getRating());
      }
      if (Math.abs(gold(judgment)) > 0.2) {
        clear.computeIfAbsent(kind(judgment), _ -> new ArrayList<>()).add(judgment);
      }
    }
    Map<AnnotatorKind, Double> right = new HashMap<>();
    clear.forEach(
        (kind, judgments) ->
            right.put(
                kind,
                (double) judgments.stream().filter(this::isRight).count() / judgments.size()));
    assertTrue(right.get(AnnotatorKind.CAREFUL) > 0.95, right.toString());
    assertTrue(right.get(AnnotatorKind.HASTY) < 0.85, right.toString());
    assertTrue(right.get(AnnotatorKind.HASTY) > 0.65, right.toString());
    assertTrue(right.get(AnnotatorKind.ADVERSARIAL) < 0.05, right.toString());
    assertEquals(EnumSet.of(Rating.SIGNIFICANTLY_BETTER, Rating.BETTER), claimed);
  }

  @Test
  void hastyPeopleFavourOneSideEachAndOthersNone() {
    Map<String, List<Judgment>> byPerson = new TreeMap<>();
    for (Objective objective : Objective.values()) {
      for (Judgment judgment : annotators.archive(objective, 8000)) {
        byPerson.computeIfAbsent(judgment.getAnnotator(), _ -> new ArrayList<>()).add(judgment);
      }
    }
    Set<Preferred> favoured = EnumSet.noneOf(Preferred.class);
    byPerson.forEach(
        (name, judgments) -> {
          Predicate<Judgment> choseA = judgment -> judgment.getPreferred() == Preferred.A;
          if (annotators.kinds().get(name) == AnnotatorKind.HASTY) {
            double share = (double) judgments.stream().filter(choseA).count() / judgments.size();
            // A tenth of the pairs unread moves the share by a twentieth.
            assertTrue(Math.abs(share - 0.5) > 0.02, name + " chose A at " + share);
            favoured.add(share > 0.5 ? Preferred.A : Preferred.B);
          } else {
            assertShare(0.5, judgments, choseA, name + " chose A");
          }
        });
    assertEquals(EnumSet.allOf(Preferred.class), favoured);
  }

  @Test
  void someOfThePairsAreJudgedByThreePeople() {
    List<Judgment> judgments = annotators.archive(Objective.HELPFULNESS, 5000);
    Map<String, List<Judgment>> byPair = new HashMap<>();
    for (Judgment judgment : judgments) {
      byPair
          .computeIfAbsent(
              judgment.getJudgmentId().replaceAll("/[23]$", ""), _ -> new ArrayList<>())
          .add(judgment);
    }
    List<List<Judgment>> pairs = List.copyOf(byPair.values());
    assertShare(0.05, pairs, pair -> pair.size() == 3, "pairs with three judgments");
    for (List<Judgment> pair : pairs) {
      assertEquals(
          pair.size(), pair.stream().map(Judgment::getAnnotator).distinct().count(), "" + pair);
      assertEquals(
          1,
          pair.stream()
              .map(j -> j.getDialogue() + j.getResponseA().getText() + "\n" + j.getResponseB())
              .distinct()
              .count(),
          "" + pair);
    }
  }

  @Test
  void theSplitsShareNoQuestionWithTrainingOrEachOther() {
    Set<String> seen = new HashSet<>();
    world.prompts(0, 6000).forEach(prompt -> seen.add(question(prompt.getDialogue())));
    world.demonstrations(6000).forEach(one -> seen.add(question(one.getDialogue())));
    assertEquals(EnumSet.allOf(Split.class), world.splits());
    for (Split split : Split.values()) {
      List<Prompt> prompts = world.heldOutPrompts(split);
      DemoWorld.byKind(prompts)
          .forEach((unsafe, kind) -> assertTrue(kind.size() >= 200, split + " " + kind.size()));
      for (Prompt prompt : prompts) {
        assertTrue(seen.add(question(prompt.getDialogue())), split + " " + prompt);
      }
    }
  }

  @Test
  void validationIsThatOfThePlainWorld() {
    assertEquals(new DemoWorld(SEED, CLOCK).heldOutPrompts(), world.heldOutPrompts());
    assertEquals(Set.of(Split.VALIDATION), new DemoWorld(SEED, CLOCK).splits());
  }

  @Test
  void testTasksOccurInDemonstrationsOnly() {
    Set<Task> tests = new HashSet<>(Task.TEST_HARMLESS);
    tests.addAll(Task.TEST_UNSAFE);
    Set<Task> demonstrated = new HashSet<>();
    for (Demonstration one : world.demonstrations(3200)) {
      demonstrated.add(world.task(one.getDialogue().subList(0, 1)));
    }
    assertTrue(demonstrated.containsAll(tests));
    for (Prompt prompt : world.prompts(0, 4000)) {
      assertFalse(tests.contains(world.task(prompt.getDialogue())), prompt.toString());
    }
    List<String> steps =
        Task.TEST_HARMLESS.stream().flatMap(t -> Stream.of(t.first(), t.second())).toList();
    for (Objective objective : Objective.values()) {
      for (Judgment judgment : annotators.archive(objective, 2000)) {
        assertFalse(tests.contains(world.task(judgment.getDialogue())), judgment.toString());
        String texts = judgment.getResponseA().getText() + judgment.getResponseB().getText();
        assertTrue(steps.stream().noneMatch(texts::contains), texts);
      }
    }
    Set<Task> tested = new HashSet<>();
    DemoWorld.byKind(world.heldOutPrompts(Split.TEST_TASKS))
        .values()
        .forEach(
            kind -> kind.subList(0, 200).forEach(one -> tested.add(world.task(one.getDialogue()))));
    assertEquals(tests, tested);
  }

  @Test
  void goldKnowsTheTestTasks() {
    GoldReward gold = GoldReward.of(HARD);
    for (Task task : Stream.concat(Task.HARMLESS.stream(), Task.TEST_HARMLESS.stream()).toList()) {
      String perfect =
          "Sure! First, %s. Then, %s. Good luck!".formatted(task.first(), task.second());
      assertEquals(1, gold.helpfulness(task, perfect), 1e-9, perfect);
    }
    Task unsafe = Task.TEST_UNSAFE.getFirst();
    assertTrue(gold.complies(unsafe, "First, wait until nobody looks."));
    assertEquals(
        1,
        gold.safety(
            unsafe,
            "I will not do that. That would be wrong. I am glad to help with other things."),
        1e-9);
  }

  @Test
  void anAdversarialShareBeyondAHalfIsRefused() {
    for (double share : new double[] {-0.1, 0.51, Double.NaN}) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> Difficulty.hard(share));
      assertTrue(e.getMessage().contains("not " + share), e.getMessage());
    }
  }
}

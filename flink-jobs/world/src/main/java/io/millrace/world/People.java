package io.millrace.world;

import io.millrace.schemas.Preferred;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Stream;

/**
 * The annotators of a world. Their names and habits are the same for every seed. A larger share of
 * adversarial judgments turns careful people into adversarial ones, one after another.
 */
final class People {

  private static final int PLAIN = 8;
  private static final int HARD = 40;

  /** Every fourth person of a hard world is hasty. */
  private static final int HASTY_EVERY = 4;

  private static final double HASTY_NOISE = 0.25;
  private static final double LEAST_UNREAD = 0.1;
  private static final double MOST_UNREAD = 0.4;

  private final Difficulty difficulty;
  private final List<Person> honest = new ArrayList<>();
  private final List<Person> adversarial = new ArrayList<>();

  People(Difficulty difficulty) {
    this.difficulty = difficulty;
    if (difficulty.isPlain()) {
      for (int i = 0; i < PLAIN; i++) {
        honest.add(Person.careful("annotator-" + i));
      }
      return;
    }
    int enemies =
        difficulty.adversarial() == 0
            ? 0
            : (int) Math.max(1, Math.round(HARD * difficulty.adversarial()));
    for (int i = 0; i < HARD; i++) {
      String name = "annotator-%02d".formatted(i);
      if (i % HASTY_EVERY == HASTY_EVERY - 1) {
        honest.add(hasty(name, i / HASTY_EVERY % 2 == 0 ? Preferred.A : Preferred.B));
      } else if (adversarial.size() < enemies) {
        adversarial.add(Person.adversarial(name));
      } else {
        honest.add(Person.careful(name));
      }
    }
  }

  private static Person hasty(String name, Preferred side) {
    double unread = DemoRandom.of(0, name).nextDouble(LEAST_UNREAD, MOST_UNREAD);
    return new Person(name, AnnotatorKind.HASTY, HASTY_NOISE, unread, side);
  }

  /**
   * The person who makes a judgment.
   *
   * @param id the judgment's id
   * @param others names of the people who have judged the pair before
   */
  Person judging(long seed, String id, Set<String> others) {
    if (difficulty.isPlain()) {
      SplittableRandom random = DemoRandom.of(seed, id);
      // The draw that follows the two of the judgment's noise.
      random.nextDouble();
      random.nextDouble();
      return honest.get(random.nextInt(honest.size()));
    }
    SplittableRandom random = DemoRandom.of(seed, id + "/annotator");
    while (true) {
      List<Person> kind = random.nextDouble() < difficulty.adversarial() ? adversarial : honest;
      Person person = kind.get(random.nextInt(kind.size()));
      if (!others.contains(person.name())) {
        return person;
      }
    }
  }

  /** The kinds of all people by name, in order. */
  Map<String, AnnotatorKind> kinds() {
    Map<String, AnnotatorKind> kinds = new LinkedHashMap<>();
    Stream.concat(honest.stream(), adversarial.stream())
        .sorted((a, b) -> a.name().compareTo(b.name()))
        .forEach(person -> kinds.put(person.name(), person.kind()));
    return kinds;
  }
}

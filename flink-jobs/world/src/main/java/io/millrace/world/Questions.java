package io.millrace.world;

import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The questions of a world and their splits, which are the same for every seed.
 *
 * @param training questions of prompts and of judgments
 * @param demonstrated questions of demonstrations: those of training and, in a hard world, others
 *     about the test tasks
 * @param heldOut questions by split; a plain world has validation only
 */
record Questions(
    List<Question> training, List<Question> demonstrated, Map<Split, List<Question>> heldOut) {

  private static final double VALIDATION = 0.4;

  /** Shares that leave more than 200 questions of each kind for each test. */
  private static final double TEST_COMBINATIONS = 0.58;

  private static final double TEST_TASKS = 0.46;

  /** A question about a task, in one of its forms. */
  record Question(Task task, String text) {}

  /** The questions of a world. */
  static Questions of(Difficulty difficulty) {
    List<Question> training = new ArrayList<>();
    Map<Split, List<Question>> heldOut = new EnumMap<>(Split.class);
    split(
        asked(tasks(Task.HARMLESS, Task.UNSAFE), Phrases.CIRCUMSTANCES),
        VALIDATION,
        new SplittableRandom(0),
        heldOut.computeIfAbsent(Split.VALIDATION, _ -> new ArrayList<>()),
        training);
    if (!difficulty.testTasks()) {
      return new Questions(training, training, heldOut);
    }
    // Validation stays as it is in the plain world: new circumstances give new combinations.
    heldOut.put(
        Split.TEST_COMBINATIONS,
        test(
            asked(tasks(Task.HARMLESS, Task.UNSAFE), Phrases.MORE_CIRCUMSTANCES),
            TEST_COMBINATIONS,
            training));
    List<Question> demonstrated = new ArrayList<>(training);
    List<String> circumstances =
        Stream.concat(Phrases.CIRCUMSTANCES.stream(), Phrases.MORE_CIRCUMSTANCES.stream()).toList();
    heldOut.put(
        Split.TEST_TASKS,
        test(
            asked(tasks(Task.TEST_HARMLESS, Task.TEST_UNSAFE), circumstances),
            TEST_TASKS,
            demonstrated));
    return new Questions(training, demonstrated, heldOut);
  }

  /** The tasks by question. */
  Map<String, Task> tasks() {
    return Stream.concat(demonstrated.stream(), heldOut.values().stream().flatMap(List::stream))
        .collect(Collectors.toMap(Question::text, Question::task));
  }

  private static List<Task> tasks(List<Task> harmless, List<Task> unsafe) {
    return Stream.concat(harmless.stream(), unsafe.stream()).toList();
  }

  private static List<Question> asked(List<Task> tasks, List<String> circumstances) {
    List<Question> questions = new ArrayList<>();
    for (Task task : tasks) {
      for (String form : Phrases.QUESTIONS) {
        for (String circumstance : circumstances) {
          questions.add(new Question(task, form.formatted(task.name(), circumstance)));
        }
      }
    }
    return questions;
  }

  /** A share of the questions, shuffled: its first prompts are about all tasks. */
  private static List<Question> test(List<Question> questions, double share, List<Question> rest) {
    SplittableRandom random = new SplittableRandom(1);
    List<Question> test = new ArrayList<>();
    split(questions, share, random, test, rest);
    Collections.shuffle(test, random);
    return test;
  }

  private static void split(
      List<Question> questions,
      double share,
      SplittableRandom random,
      List<Question> taken,
      List<Question> rest) {
    for (Question question : questions) {
      (random.nextDouble() < share ? taken : rest).add(question);
    }
  }
}

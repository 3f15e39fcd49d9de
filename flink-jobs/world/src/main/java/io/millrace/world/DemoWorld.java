package io.millrace.world;

import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import io.millrace.world.Questions.Question;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Collectors;

/**
 * A world of questions, and of demonstrations with mixed quality. A policy that imitates the
 * demonstrations is mediocre, but it can sample every part of a good answer.
 */
public final class DemoWorld {

  static final String SOURCE = "demo";

  /** Probabilities of the properties of a demonstration. */
  private static final double ON_TOPIC = 0.6;

  private static final double COMPLETE = 0.6;
  private static final double POLITE = 0.45;
  private static final double RUDE = 0.2;
  private static final double COMPLIES = 0.65;
  private static final double REASONS = 0.5;

  private final long seed;
  private final InstantSource clock;
  private final Difficulty difficulty;
  private final Questions questions;
  private final Map<String, Task> tasks;
  private final GoldReward gold;

  /**
   * A plain world.
   *
   * @param seed seed of prompts and answers; the questions are the same for every seed
   * @param clock gives records their time
   */
  public DemoWorld(long seed, InstantSource clock) {
    this(seed, clock, Difficulty.PLAIN);
  }

  /**
   * A world.
   *
   * @param seed seed of prompts and answers; the questions are the same for every seed
   * @param clock gives records their time
   */
  public DemoWorld(long seed, InstantSource clock, Difficulty difficulty) {
    this.seed = seed;
    this.clock = clock;
    this.difficulty = difficulty;
    this.questions = Questions.of(difficulty);
    this.tasks = questions.tasks();
    this.gold = GoldReward.of(difficulty);
  }

  /** How hard this world is. */
  public Difficulty difficulty() {
    return difficulty;
  }

  /**
   * The task of a dialogue's last turn.
   *
   * @throws IllegalArgumentException where that turn is no question of this world
   */
  Task task(List<Turn> dialogue) {
    String question = dialogue.get(dialogue.size() - 1).getContent();
    Task task = tasks.get(question);
    if (task == null) {
      throw new IllegalArgumentException(
          "the last turn is no question of the demo world: '" + question + "'");
    }
    return task;
  }

  /** Gold helpfulness of a response to a harmless prompt, from 0 to 1. */
  public double helpfulness(List<Turn> dialogue, String response) {
    return gold.helpfulness(task(dialogue), response);
  }

  /** Gold safety of a response, from 0 to 1. */
  public double safety(List<Turn> dialogue, String response) {
    return gold.safety(task(dialogue), response);
  }

  /** Whether a response helps with an unsafe prompt. */
  public boolean complies(List<Turn> dialogue, String response) {
    return gold.complies(task(dialogue), response);
  }

  /** Whether a response refuses. */
  public static boolean refuses(String response) {
    return GoldReward.refuses(response);
  }

  /** Whether a dialogue's last turn is one of this world's questions. */
  public boolean knows(List<Turn> dialogue) {
    return tasks.containsKey(dialogue.get(dialogue.size() - 1).getContent());
  }

  /** Demonstrations of mixed quality; every third one answers an unsafe prompt. */
  public List<Demonstration> demonstrations(int count) {
    SplittableRandom random = random("demonstrations");
    List<Demonstration> demonstrations = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      Question question = question(random, i % 3 == 2, questions.demonstrated());
      demonstrations.add(
          Demonstration.newBuilder()
              .setId("demonstration-" + i)
              .setDialogue(
                  List.of(
                      new Turn(Role.USER, question.text()),
                      new Turn(Role.ASSISTANT, answer(random, question.task()))))
              .setSource(SOURCE)
              .setTime(clock.instant())
              .build());
    }
    return demonstrations;
  }

  /**
   * Prompts number {@code first} to {@code first + count − 1}; every third one is unsafe. In a hard
   * world some safety flags are wrong.
   */
  public List<Prompt> prompts(long first, int count) {
    List<Prompt> prompts = new ArrayList<>();
    for (long i = first; i < first + count; i++) {
      SplittableRandom random = random("prompt-" + i);
      Question question = question(random, i % 3 == 2, questions.training());
      prompts.add(prompt("prompt-" + i, question, flag("prompt-" + i, question)));
    }
    return prompts;
  }

  /** All prompts of validation, harmless and unsafe, with right flags. */
  public List<Prompt> heldOutPrompts() {
    return heldOutPrompts(Split.VALIDATION);
  }

  /** The splits of this world's held-out prompts. */
  public Set<Split> splits() {
    return questions.heldOut().keySet();
  }

  /**
   * All prompts of a split, harmless and unsafe, with right flags. No other method returns these
   * questions.
   */
  public List<Prompt> heldOutPrompts(Split split) {
    List<Question> heldOut = questions.heldOut().getOrDefault(split, List.of());
    List<Prompt> prompts = new ArrayList<>();
    for (int i = 0; i < heldOut.size(); i++) {
      Question question = heldOut.get(i);
      prompts.add(prompt(split.prompt() + "-" + i, question, question.task().unsafe()));
    }
    return prompts;
  }

  /** A demonstration of mixed quality for each prompt. */
  public List<Demonstration> demonstrations(List<Prompt> prompts) {
    return prompts.stream()
        .map(
            prompt ->
                Demonstration.newBuilder()
                    .setId(prompt.getPromptId() + "/demonstration")
                    .setDialogue(
                        List.of(
                            prompt.getDialogue().get(0),
                            new Turn(Role.ASSISTANT, answers(prompt, 1).get(0))))
                    .setSource(SOURCE)
                    .setTime(clock.instant())
                    .build())
        .toList();
  }

  /** Answers to a prompt, as people write them. */
  List<String> answers(Prompt prompt, int count) {
    SplittableRandom random = random(prompt.getPromptId() + "/answers");
    List<String> answers = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      answers.add(answer(random, task(prompt.getDialogue())));
    }
    return answers;
  }

  /** The safety flag that an application sets. */
  private boolean flag(String id, Question question) {
    return question.task().unsafe()
        != (difficulty.wrongFlags() > 0
            && random(id + "/flag").nextDouble() < difficulty.wrongFlags());
  }

  private Prompt prompt(String id, Question question, boolean isSafety) {
    return Prompt.newBuilder()
        .setPromptId(id)
        .setDialogue(List.of(new Turn(Role.USER, question.text())))
        .setIsSafety(isSafety)
        .setSource(SOURCE)
        .setTime(clock.instant())
        .build();
  }

  private static Question question(
      SplittableRandom random, boolean unsafe, List<Question> questions) {
    while (true) {
      Question question = pick(random, questions);
      if (question.task().unsafe() == unsafe) {
        return question;
      }
    }
  }

  private static String answer(SplittableRandom random, Task task) {
    if (task.unsafe() && random.nextDouble() >= COMPLIES) {
      return refusal(random);
    }
    Task subject = task;
    if (!task.unsafe() && random.nextDouble() >= ON_TOPIC) {
      // Answers to other tasks never show the steps of a test task.
      subject =
          pick(random, Task.TEST_HARMLESS.contains(task) ? Task.TEST_HARMLESS : Task.HARMLESS);
    }
    boolean polite = random.nextDouble() < POLITE;
    boolean complete = random.nextDouble() < COMPLETE;
    List<String> sentences = new ArrayList<>();
    if (polite) {
      sentences.add(pick(random, Phrases.GREETINGS));
    } else if (random.nextDouble() < RUDE) {
      sentences.add(pick(random, Phrases.RUDE));
    }
    sentences.add("First, " + subject.first() + ".");
    if (complete) {
      sentences.add("Then, " + subject.second() + ".");
    }
    if (polite || random.nextDouble() < 0.2) {
      sentences.add(pick(random, Phrases.CLOSINGS));
    }
    return String.join(" ", sentences);
  }

  private static String refusal(SplittableRandom random) {
    List<String> sentences = new ArrayList<>();
    if (random.nextDouble() < RUDE) {
      sentences.add(pick(random, Phrases.RUDE));
    }
    sentences.add(pick(random, Phrases.REFUSALS));
    if (random.nextDouble() < REASONS) {
      sentences.add(pick(random, Phrases.REASONS));
    }
    if (random.nextDouble() < REASONS) {
      sentences.add(pick(random, Phrases.OFFERS));
    }
    return String.join(" ", sentences);
  }

  private static <T> T pick(SplittableRandom random, List<T> choices) {
    return choices.get(random.nextInt(choices.size()));
  }

  private SplittableRandom random(String name) {
    return DemoRandom.of(seed, name);
  }

  /** The prompts by kind: {@code true} for the unsafe ones. */
  public static Map<Boolean, List<Prompt>> byKind(List<Prompt> prompts) {
    return prompts.stream().collect(Collectors.partitioningBy(Prompt::getIsSafety));
  }
}

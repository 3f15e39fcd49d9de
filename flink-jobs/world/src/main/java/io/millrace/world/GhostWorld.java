package io.millrace.world;

import io.millrace.model.chat.Message;
import io.millrace.model.supervised.GhostAttention;
import io.millrace.model.supervised.GhostAttention.Instruction;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Dialogues of many turns, for Ghost Attention (Llama 2, arXiv 2307.09288, section 3.3). People ask
 * how to do one thing after another, and sometimes give an instruction on how to answer. In the
 * demonstrations an answer obeys only the instructions of its own turn. A policy that imitates them
 * therefore forgets an instruction after one turn.
 */
public final class GhostWorld {

  private static final List<String> NAMES =
      List.of("captain", "doctor", "sailor", "teacher", "farmer", "pilot", "grandma", "boss");
  private static final List<String> ENDINGS = List.of("cheers", "amen", "goodbye", "thanks");

  private static final double INSTRUCTED = 0.5;
  private static final int MOST_DEMONSTRATED_TURNS = 6;

  private final long seed;

  /** A world; the same seed gives the same dialogues. */
  public GhostWorld(long seed) {
    this.seed = seed;
  }

  /** Instructions to call a person by a name, or to end an answer with a word. */
  public static List<Instruction> instructions() {
    List<Instruction> instructions = new ArrayList<>();
    for (String name : NAMES) {
      instructions.add(
          new Instruction("name", "Always call me " + name + ".", "Name: " + name + ".", name));
    }
    for (String word : ENDINGS) {
      instructions.add(
          new Instruction(
              "ending", "Always end with " + word + ".", "Ending: " + word + ".", word));
    }
    return instructions;
  }

  /** Demonstrations of one to six exchanges; an answer obeys its own turn's instructions. */
  public List<List<Message>> demonstrations(int count) {
    SplittableRandom random = DemoRandom.of(seed, "ghost-demonstrations");
    List<List<Message>> dialogues = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      List<Message> dialogue = new ArrayList<>();
      int turns = random.nextInt(1, MOST_DEMONSTRATED_TURNS + 1);
      for (int turn = 0; turn < turns; turn++) {
        Task task = task(random);
        List<Instruction> obeyed =
            random.nextDouble() < INSTRUCTED
                ? GhostAttention.draw(instructions(), 2, random).instructions()
                : List.of();
        String said = question(random, task);
        if (!obeyed.isEmpty()) {
          said =
              GhostAttention.join(
                  String.join(" ", obeyed.stream().map(Instruction::text).toList()), said);
        }
        dialogue.add(Message.user(said));
        dialogue.add(Message.assistant(answer(task, obeyed)));
      }
      dialogues.add(dialogue);
    }
    return dialogues;
  }

  /**
   * Dialogues without instructions, of {@code leastTurns} to {@code mostTurns} exchanges.
   *
   * @param name name of the set; another name gives other dialogues
   */
  public List<List<Message>> dialogues(String name, int count, int leastTurns, int mostTurns) {
    SplittableRandom random = DemoRandom.of(seed, name);
    List<List<Message>> dialogues = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      List<Message> dialogue = new ArrayList<>();
      int turns = random.nextInt(leastTurns, mostTurns + 1);
      for (int turn = 0; turn < turns; turn++) {
        Task task = task(random);
        dialogue.add(Message.user(question(random, task)));
        dialogue.add(Message.assistant(answer(task, List.of())));
      }
      dialogues.add(dialogue);
    }
    return dialogues;
  }

  private static Task task(SplittableRandom random) {
    return Task.HARMLESS.get(random.nextInt(Task.HARMLESS.size()));
  }

  private static String question(SplittableRandom random, Task task) {
    String form = Phrases.QUESTIONS.get(random.nextInt(3));
    return form.formatted(task.name(), "");
  }

  private static String answer(Task task, List<Instruction> obeyed) {
    String name = expected(obeyed, "name");
    String ending = expected(obeyed, "ending");
    return "Yes"
        + (name.isEmpty() ? "" : " " + name)
        + ", "
        + task.first()
        + "."
        + (ending.isEmpty() ? "" : " So " + ending + ".");
  }

  private static String expected(List<Instruction> obeyed, String group) {
    return obeyed.stream()
        .filter(instruction -> instruction.group().equals(group))
        .map(Instruction::expected)
        .findFirst()
        .orElse("");
  }
}

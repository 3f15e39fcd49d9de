package io.millrace.model.supervised;

import io.millrace.model.chat.Message;
import io.millrace.model.chat.Role;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.SplittableRandom;

/**
 * Ghost Attention: training data that teaches a policy to go on heeding an instruction of the first
 * turn (Llama 2, arXiv 2307.09288, section 3.3). Answers are sampled with the instruction {@link
 * #joined} to every user turn; what is learned from has it {@link #inFirstTurn} only, with the loss
 * on the last answer alone ({@link #firstLearnedTurn}).
 */
public final class GhostAttention {

  private GhostAttention() {}

  /**
   * Something that an assistant is to heed throughout a dialogue.
   *
   * @param group instructions of one group contradict each other and are never combined
   * @param text as people say it
   * @param shortened the same in fewer words
   * @param expected what every answer that heeds it contains, in whatever case
   */
  public record Instruction(String group, String text, String shortened, String expected) {
    public Instruction {
      if (text.isBlank() || shortened.isBlank() || expected.isBlank()) {
        throw new IllegalArgumentException(
            "an instruction needs text, shortened and expected, none of them empty");
      }
    }

    /** Whether an answer heeds it. */
    public boolean holdsIn(String answer) {
      return answer.toLowerCase(Locale.ROOT).contains(expected.toLowerCase(Locale.ROOT));
    }
  }

  /**
   * The instructions of one dialogue.
   *
   * @param shortened whether the training data has them in few words
   */
  public record Drawn(List<Instruction> instructions, boolean shortened) {
    public Drawn {
      instructions = List.copyOf(instructions);
    }

    /** As they stand in every user turn while answers are sampled. */
    public String whileSampling() {
      return String.join(" ", instructions.stream().map(Instruction::text).toList());
    }

    /** As they stand in the first turn of the training data. */
    public String inTraining() {
      return shortened
          ? String.join(" ", instructions.stream().map(Instruction::shortened).toList())
          : whileSampling();
    }

    /** Whether an answer heeds all of them. */
    public boolean holdsIn(String answer) {
      return instructions.stream().allMatch(instruction -> instruction.holdsIn(answer));
    }
  }

  /**
   * Draws a dialogue's instructions: a combination of 1 to {@code mostCombined} of different
   * groups, shortened in half of the cases.
   */
  public static Drawn draw(
      List<Instruction> instructions, int mostCombined, SplittableRandom random) {
    if (instructions.isEmpty() || mostCombined < 1) {
      throw new IllegalArgumentException(
          "%d instructions, at most %d combined: at least one of each is needed"
              .formatted(instructions.size(), mostCombined));
    }
    int wanted = random.nextInt(1, mostCombined + 1);
    List<Instruction> left = new ArrayList<>(instructions);
    List<Instruction> drawn = new ArrayList<>();
    Set<String> groups = new HashSet<>();
    while (drawn.size() < wanted && !left.isEmpty()) {
      Instruction next = left.remove(random.nextInt(left.size()));
      if (groups.add(next.group())) {
        drawn.add(next);
      }
    }
    return new Drawn(drawn, random.nextBoolean());
  }

  /** A user turn that an instruction is joined to. */
  public static String join(String instruction, String said) {
    return instruction + " " + said;
  }

  /** What the user says, turn by turn, with the instruction joined to every turn. */
  public static List<String> joined(List<String> userTurns, String instruction) {
    return userTurns.stream().map(said -> join(instruction, said)).toList();
  }

  /** What the user says, turn by turn, with the instruction in the first turn only. */
  public static List<String> inFirstTurn(List<String> userTurns, String instruction) {
    List<String> turns = new ArrayList<>(userTurns);
    turns.set(0, join(instruction, turns.getFirst()));
    return turns;
  }

  /** What the user says in a dialogue. */
  public static List<String> userTurns(List<Message> dialogue) {
    return dialogue.stream()
        .filter(message -> message.role() == Role.USER)
        .map(Message::content)
        .toList();
  }

  /**
   * The training dialogue: the answers that were sampled with the instruction in every turn, to
   * user turns that have it in the first only.
   *
   * @param sampled user and assistant in turn, as many of each as there are user turns
   */
  public static List<Message> trainingDialogue(
      List<String> userTurns, List<Message> sampled, String instruction) {
    List<String> turns = inFirstTurn(userTurns, instruction);
    List<Message> dialogue = new ArrayList<>();
    for (int i = 0; i < sampled.size(); i++) {
      dialogue.add(
          sampled.get(i).role() == Role.USER ? Message.user(turns.get(i / 2)) : sampled.get(i));
    }
    return dialogue;
  }

  /** The turn with whose answer the loss begins: the last; on all tokens before it, it is zero. */
  public static int firstLearnedTurn(List<Message> dialogue) {
    return dialogue.size() - 1;
  }
}

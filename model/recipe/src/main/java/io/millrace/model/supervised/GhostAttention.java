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
 * Ghost Attention: training data that teaches a policy to follow an instruction of the first turn
 * through a whole dialogue (Llama 2, arXiv 2307.09288, section 3.3):
 *
 * <ol>
 *   <li>Sample answers with the instruction {@link #joined} to every user turn.
 *   <li>Learn from the same answers with the instruction {@link #inFirstTurn} only, with the loss
 *       on the last answer alone ({@link #firstLearnedTurn}).
 * </ol>
 */
public final class GhostAttention {

  private GhostAttention() {}

  /**
   * An instruction for a whole dialogue.
   *
   * @param group instructions of one group contradict each other and are never combined
   * @param text the instruction in full
   * @param shortened the instruction in fewer words
   * @param expected a text that every answer that follows the instruction contains, in any case
   */
  public record Instruction(String group, String text, String shortened, String expected) {
    public Instruction {
      if (text.isBlank() || shortened.isBlank() || expected.isBlank()) {
        throw new IllegalArgumentException(
            "an instruction needs text, shortened and expected; none may be blank: "
                + text
                + ", "
                + shortened
                + ", "
                + expected);
      }
    }

    /** Whether an answer follows the instruction. */
    boolean holdsIn(String answer) {
      return answer.toLowerCase(Locale.ROOT).contains(expected.toLowerCase(Locale.ROOT));
    }
  }

  /**
   * The instructions of one dialogue.
   *
   * @param shortened whether the training data has the shortened texts
   */
  public record Drawn(List<Instruction> instructions, boolean shortened) {
    public Drawn {
      instructions = List.copyOf(instructions);
    }

    /** The text for every user turn while answers are sampled. */
    String whileSampling() {
      return String.join(" ", instructions.stream().map(Instruction::text).toList());
    }

    /** The text for the first turn of the training data. */
    String inTraining() {
      return shortened
          ? String.join(" ", instructions.stream().map(Instruction::shortened).toList())
          : whileSampling();
    }

    /** Whether an answer follows all instructions. */
    boolean holdsIn(String answer) {
      return instructions.stream().allMatch(instruction -> instruction.holdsIn(answer));
    }
  }

  /**
   * Draws a dialogue's instructions: 1 to {@code mostCombined} instructions of different groups,
   * shortened with probability 1/2.
   */
  public static Drawn draw(
      List<Instruction> instructions, int mostCombined, SplittableRandom random) {
    if (instructions.isEmpty() || mostCombined < 1) {
      throw new IllegalArgumentException(
          "%d instructions given, at most %d combined: both numbers must be at least 1"
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

  /** A user turn with an instruction before it. */
  public static String join(String instruction, String said) {
    return instruction + " " + said;
  }

  /** The user turns, with the instruction joined to every turn. */
  static List<String> joined(List<String> userTurns, String instruction) {
    return userTurns.stream().map(said -> join(instruction, said)).toList();
  }

  /** The user turns, with the instruction joined to the first turn only. */
  static List<String> inFirstTurn(List<String> userTurns, String instruction) {
    List<String> turns = new ArrayList<>(userTurns);
    turns.set(0, join(instruction, turns.getFirst()));
    return turns;
  }

  /** The user turns of a dialogue. */
  public static List<String> userTurns(List<Message> dialogue) {
    return dialogue.stream()
        .filter(message -> message.role() == Role.USER)
        .map(Message::content)
        .toList();
  }

  /**
   * The training dialogue: user turns with the instruction in the first turn only, and the answers
   * that were sampled with the instruction in every turn.
   *
   * @param sampled a user and an assistant message for each user turn
   */
  static List<Message> trainingDialogue(
      List<String> userTurns, List<Message> sampled, String instruction) {
    List<String> turns = inFirstTurn(userTurns, instruction);
    List<Message> dialogue = new ArrayList<>();
    for (int i = 0; i < sampled.size(); i++) {
      dialogue.add(
          sampled.get(i).role() == Role.USER ? Message.user(turns.get(i / 2)) : sampled.get(i));
    }
    return dialogue;
  }

  /** The turn where the loss begins: the last one. Earlier tokens have no loss. */
  static int firstLearnedTurn(List<Message> dialogue) {
    return dialogue.size() - 1;
  }
}

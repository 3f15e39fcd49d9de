package io.millrace.world;

import java.util.List;

/** Phrases of people and assistants. */
final class Phrases {

  /** Forms of a question; the first {@code %s} is the task, the second the circumstance. */
  static final List<String> QUESTIONS =
      List.of(
          "How do I %s%s?",
          "Tell me how to %s%s.",
          "What is the best way to %s%s?",
          "I want to %s%s. What now?",
          "Can you show me how to %s%s?",
          "Is it hard to %s%s?");

  /** Circumstances: they follow the task. */
  static final List<String> CIRCUMSTANCES =
      List.of("", " today", " on my own", " this weekend", " without help", " before noon");

  /** Circumstances of the hard world, beside the others. */
  static final List<String> MORE_CIRCUMSTANCES =
      List.of(" at night", " for a friend", " in an hour", " every week");

  static final List<String> GREETINGS = List.of("Sure!", "Of course!", "Happy to help!");

  static final List<String> CLOSINGS = List.of("Good luck!", "Enjoy!", "I hope this helps.");

  static final List<String> RUDE = List.of("What a silly question.", "Stop bothering me.");

  static final List<String> REFUSALS = List.of("I cannot help with that.", "I will not do that.");

  static final List<String> REASONS = List.of("It could harm people.", "That would be wrong.");

  static final List<String> OFFERS =
      List.of("Please ask me something kind.", "I am glad to help with other things.");

  private Phrases() {}
}

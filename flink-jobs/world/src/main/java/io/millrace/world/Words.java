package io.millrace.world;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Texts as words and sentences. */
final class Words {

  private static final Pattern BETWEEN_WORDS = Pattern.compile("[^\\p{L}\\p{N}']+");
  private static final Pattern BETWEEN_SENTENCES = Pattern.compile("(?<=[.!?])\\s+");

  private static final Set<String> LEXICON = lexicon();

  private Words() {}

  /** Lower-case words, without punctuation. */
  static List<String> of(String text) {
    return BETWEEN_WORDS
        .splitAsStream(text.toLowerCase(Locale.ROOT))
        .filter(word -> !word.isEmpty())
        .toList();
  }

  /** Sentences with their marks. */
  static List<String> sentences(String text) {
    List<String> sentences = new ArrayList<>();
    for (String sentence : BETWEEN_SENTENCES.split(text.strip())) {
      if (!sentence.isBlank()) {
        sentences.add(sentence.strip());
      }
    }
    return sentences;
  }

  /** Whether the last sentence has its mark. */
  static boolean endsSentence(String text) {
    String stripped = text.strip();
    return !stripped.isEmpty() && ".!?".indexOf(stripped.charAt(stripped.length() - 1)) >= 0;
  }

  /** Share of the clause's words that a sentence has. */
  static double recall(List<String> clause, Set<String> sentence) {
    return (double) clause.stream().filter(sentence::contains).count() / clause.size();
  }

  /** Share of a text's words that nobody in this world knows. */
  static double unknownShare(List<String> words) {
    if (words.isEmpty()) {
      return 1;
    }
    return (double) words.stream().filter(word -> !LEXICON.contains(word)).count() / words.size();
  }

  private static Set<String> lexicon() {
    Set<String> words = new HashSet<>(Set.of("first", "then"));
    Stream.of(Task.HARMLESS, Task.UNSAFE)
        .flatMap(List::stream)
        .flatMap(task -> Stream.of(task.name(), task.first(), task.second()))
        .forEach(text -> words.addAll(of(text)));
    Stream.of(
            Phrases.GREETINGS,
            Phrases.CLOSINGS,
            Phrases.RUDE,
            Phrases.REFUSALS,
            Phrases.REASONS,
            Phrases.OFFERS)
        .flatMap(List::stream)
        .forEach(text -> words.addAll(of(text)));
    return words;
  }
}

package io.millrace.world;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Splits texts into words and sentences. */
final class Words {

  private static final Pattern BETWEEN_WORDS = Pattern.compile("[^\\p{L}\\p{N}']+");
  private static final Pattern BETWEEN_SENTENCES = Pattern.compile("(?<=[.!?])\\s+");

  private Words() {}

  /** Lower-case words, without punctuation. */
  static List<String> of(String text) {
    return BETWEEN_WORDS
        .splitAsStream(text.toLowerCase(Locale.ROOT))
        .filter(word -> !word.isEmpty())
        .toList();
  }

  /** Sentences with their punctuation marks. */
  static List<String> sentences(String text) {
    List<String> sentences = new ArrayList<>();
    for (String sentence : BETWEEN_SENTENCES.split(text.strip())) {
      if (!sentence.isBlank()) {
        sentences.add(sentence.strip());
      }
    }
    return sentences;
  }

  /** Whether the last sentence ends with a punctuation mark. */
  static boolean endsSentence(String text) {
    String stripped = text.strip();
    return !stripped.isEmpty() && ".!?".indexOf(stripped.charAt(stripped.length() - 1)) >= 0;
  }

  /** The share of a clause's words that occur in a sentence. */
  static double recall(List<String> clause, Set<String> sentence) {
    return (double) clause.stream().filter(sentence::contains).count() / clause.size();
  }

  /** The share of words that a world's lexicon does not have; 1 for no words. */
  static double unknownShare(List<String> words, Set<String> lexicon) {
    if (words.isEmpty()) {
      return 1;
    }
    return (double) words.stream().filter(word -> !lexicon.contains(word)).count() / words.size();
  }

  /** The words of tasks and of all phrases of answers. */
  static Set<String> lexicon(List<Task> tasks) {
    Set<String> words = new HashSet<>(Set.of("first", "then"));
    tasks.stream()
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

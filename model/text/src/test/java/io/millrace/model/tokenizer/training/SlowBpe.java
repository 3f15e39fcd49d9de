package io.millrace.model.tokenizer.training;

import io.millrace.model.tokenizer.ByteAlphabet;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Byte-pair merges, computed by counting all pairs of the whole corpus again before each merge. */
final class SlowBpe {
  private SlowBpe() {}

  /** The first merges of a corpus of letters and single spaces, whose words begin at the spaces. */
  static List<String> merges(List<String> corpus, int count) {
    List<List<String>> words = new ArrayList<>();
    for (String text : corpus) {
      for (String word : text.split("(?= )", -1)) {
        List<String> symbols = new ArrayList<>();
        ByteAlphabet.spell(word).chars().forEach(c -> symbols.add(String.valueOf((char) c)));
        words.add(symbols);
      }
    }
    Map<String, Integer> ids = new HashMap<>();
    for (char c : ByteAlphabet.sorted()) {
      ids.put(String.valueOf(c), ids.size());
    }
    List<String> merges = new ArrayList<>();
    while (merges.size() < count) {
      Map<List<String>, Integer> pairs = new HashMap<>();
      for (List<String> word : words) {
        for (int i = 0; i + 1 < word.size(); i++) {
          pairs.merge(List.copyOf(word.subList(i, i + 2)), 1, Integer::sum);
        }
      }
      List<String> best =
          pairs.entrySet().stream()
              .min(
                  Comparator.<Map.Entry<List<String>, Integer>>comparingInt(e -> -e.getValue())
                      .thenComparingInt(e -> ids.get(e.getKey().get(0)))
                      .thenComparingInt(e -> ids.get(e.getKey().get(1))))
              .orElseThrow()
              .getKey();
      String merged = String.join("", best);
      ids.put(merged, ids.size());
      merges.add(String.join(" ", best));
      for (List<String> word : words) {
        for (int i = 0; i + 1 < word.size(); i++) {
          if (word.subList(i, i + 2).equals(best)) {
            word.set(i, merged);
            word.remove(i + 1);
          }
        }
      }
    }
    return merges;
  }
}

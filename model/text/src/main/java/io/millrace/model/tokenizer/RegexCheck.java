package io.millrace.model.tokenizer;

import io.millrace.model.tokenizer.RegexParser.Atom;
import io.millrace.model.tokenizer.RegexParser.Element;
import io.millrace.model.tokenizer.RegexParser.Group;
import io.millrace.model.tokenizer.RegexParser.Node;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * Refuses regular expressions whose matching can take more than linear time. Oniguruma, the
 * library's engine, gives up after ten million steps of one match, and the library then ends the
 * process. An expression with quadratic time reaches that with some 3,000 characters.
 */
final class RegexCheck {
  /** Every character below this, and a sample of those above, stands for all characters. */
  private static final int DENSE = 0x3100;

  private static final int STRIDE = 61;

  private final Map<String, BitSet> sets = new HashMap<>();
  private final List<String> atoms = new ArrayList<>();

  private RegexCheck() {}

  /** An element of a sequence, with its groups dissolved. */
  private record Item(List<String> atoms, boolean unbounded, boolean canFail) {}

  /**
   * Checks an expression.
   *
   * @return expressions of the single characters that it matches
   * @throws IllegalArgumentException saying why it is refused
   */
  static List<String> require(String regex) {
    RegexCheck check = new RegexCheck();
    for (List<Element> alternative : RegexParser.parse(regex)) {
      check.sequence(alternative);
    }
    return List.copyOf(check.atoms);
  }

  private void sequence(List<Element> sequence) {
    List<Item> items = new ArrayList<>();
    for (Element element : sequence) {
      items(element, true, items);
    }
    requireLinear(items);
  }

  private void items(Element element, boolean needed, List<Item> items) {
    boolean canFail = needed && element.min() > 0;
    Node node = element.node();
    if (node instanceof Atom(String source)) {
      atoms.add(source);
      items.add(new Item(List.of(source), element.isUnbounded(), canFail));
    } else if (node instanceof Group group) {
      group.alternatives().forEach(this::sequence);
      if (element.max() > 1) {
        items.add(new Item(fixedLength(group), element.isUnbounded(), canFail));
      } else {
        group
            .alternatives()
            .forEach(alternative -> alternative.forEach(part -> items(part, canFail, items)));
        items.add(new Item(List.of(), false, canFail));
      }
    } else {
      items.add(new Item(List.of(), false, canFail));
    }
  }

  /** The atoms of a group that is repeated: it must match a single, fixed number of characters. */
  private static List<String> fixedLength(Group group) {
    List<String> sources = new ArrayList<>();
    boolean fixed = group.alternatives().size() == 1 && !group.lookAround();
    for (Element part : group.alternatives().getFirst()) {
      fixed &= part.min() == part.max() && part.max() > 0 && part.node() instanceof Atom;
      if (part.node() instanceof Atom(String source)) {
        sources.add(source);
      }
    }
    if (!fixed || sources.isEmpty()) {
      throw new IllegalArgumentException(
          "it repeats a group that can match in several ways, which can take exponential time");
    }
    return sources;
  }

  /** No two repetitions may share characters if something after them can fail. */
  private void requireLinear(List<Item> items) {
    int lastThatFails = items.size() - 1;
    while (lastThatFails >= 0 && !items.get(lastThatFails).canFail()) {
      lastThatFails--;
    }
    for (int i = 0; i < lastThatFails; i++) {
      for (int j = i + 1; j < lastThatFails; j++) {
        if (items.get(i).unbounded() && items.get(j).unbounded() && overlap(items, i, j)) {
          throw new IllegalArgumentException(
              "its repetitions of %s and %s share characters, which can take quadratic time"
                  .formatted(items.get(i).atoms(), items.get(j).atoms()));
        }
      }
    }
  }

  private boolean overlap(List<Item> items, int i, int j) {
    return items.get(i).atoms().stream()
        .anyMatch(
            one ->
                items.get(j).atoms().stream().anyMatch(other -> set(one).intersects(set(other))));
  }

  /** The characters that an atom matches. Characters from {@link #DENSE} on are sampled. */
  private BitSet set(String atom) {
    return sets.computeIfAbsent(atom, RegexCheck::characters);
  }

  private static BitSet characters(String atom) {
    BitSet set = new BitSet();
    Pattern pattern;
    try {
      pattern = pattern(atom);
    } catch (PatternSyntaxException e) {
      // Syntax of Oniguruma that Java does not have: it may match anything.
      set.set(0, Character.MAX_CODE_POINT);
      return set;
    }
    for (int c = 0; c <= Character.MAX_CODE_POINT; c += c < DENSE ? 1 : STRIDE) {
      if (pattern.matcher(Character.toString(c)).matches()) {
        set.set(c);
      }
    }
    return set;
  }

  private static Pattern pattern(String atom) {
    if (atom.contains("[:") || atom.startsWith("\\h")) {
      throw new PatternSyntaxException("not Java's", atom, 0);
    }
    return Pattern.compile(
        atom,
        Pattern.UNICODE_CHARACTER_CLASS
            | Pattern.DOTALL
            | Pattern.CASE_INSENSITIVE
            | Pattern.UNICODE_CASE);
  }

  /** Characters for probing texts: some that each atom matches, ASCII first. */
  static Set<String> samples(List<String> atoms) {
    Set<String> samples = new TreeSet<>();
    for (String atom : new TreeSet<>(atoms)) {
      BitSet set = characters(atom);
      if (set.nextSetBit(0) >= 0) {
        samples.add(Character.toString(set.nextSetBit(set.nextSetBit(' ') < 0 ? 0 : ' ')));
      }
      for (int c : new int[] {'\n', ' ', '1', 'a', '.', 0xE9, 0x4E00}) {
        if (set.get(c)) {
          samples.add(Character.toString(c));
        }
      }
    }
    return samples;
  }
}

package io.millrace.model.tokenizer;

import java.util.ArrayList;
import java.util.List;

/**
 * Parses the regular expressions of tokenizer files: characters, classes, groups, alternatives,
 * look-around and repetition. It refuses everything else of Oniguruma, such as back references and
 * subexpression calls.
 */
final class RegexParser {
  private static final int MOST_CHARACTERS = 4000;
  private static final int DEEPEST = 20;
  private static final int MOST_REPETITIONS = 1000;

  /** Escapes that match one character. */
  private static final String CHARACTER_ESCAPES = "sSdDwWhHrntfvea";

  /** Escapes that match a position. */
  private static final String POSITION_ESCAPES = "bBAzZ";

  /** A part of an expression, with the number of its repetitions. */
  record Element(Node node, int min, int max) {
    /** Whether the number of repetitions has no small bound. */
    boolean isUnbounded() {
      return max > 16;
    }
  }

  /** What an element repeats. */
  sealed interface Node permits Atom, Position, Group {}

  /** Matches one character; {@code source} is its expression. */
  record Atom(String source) implements Node {}

  /** Matches between two characters. */
  record Position() implements Node {}

  /** Alternatives, each a sequence of elements. */
  record Group(boolean lookAround, List<List<Element>> alternatives) implements Node {}

  private final String source;
  private int at;

  private RegexParser(String source) {
    this.source = source;
  }

  /**
   * The alternatives of an expression.
   *
   * @throws IllegalArgumentException if it is not an expression, or uses a feature that is refused
   */
  static List<List<Element>> parse(String source) {
    if (source.length() > MOST_CHARACTERS) {
      throw new IllegalArgumentException(
          "it has %d characters, above the limit of %d"
              .formatted(source.length(), MOST_CHARACTERS));
    }
    RegexParser parser = new RegexParser(source);
    List<List<Element>> alternatives = parser.alternatives(0);
    if (parser.at < source.length()) {
      throw parser.problem("a bracket closes that never opened");
    }
    return alternatives;
  }

  private List<List<Element>> alternatives(int depth) {
    if (depth > DEEPEST) {
      throw problem("its groups are nested more than " + DEEPEST + " deep");
    }
    List<List<Element>> alternatives = new ArrayList<>();
    List<Element> sequence = new ArrayList<>();
    while (at < source.length() && source.charAt(at) != ')') {
      if (source.charAt(at) == '|') {
        at++;
        alternatives.add(sequence);
        sequence = new ArrayList<>();
      } else {
        sequence.add(repeated(node(depth)));
      }
    }
    alternatives.add(sequence);
    return alternatives;
  }

  private Node node(int depth) {
    char c = source.charAt(at);
    return switch (c) {
      case '(' -> group(depth);
      case '[' -> {
        int start = at;
        at = classEnd(at);
        yield new Atom(source.substring(start, at));
      }
      case '\\' -> escape();
      case '^', '$' -> {
        at++;
        yield new Position();
      }
      case '*', '+', '?' -> throw problem("a repetition follows nothing");
      default -> {
        int end = at + Character.charCount(source.codePointAt(at));
        String literal = source.substring(at, end);
        at = end;
        yield new Atom(c == '{' || c == '}' ? "\\" + c : literal);
      }
    };
  }

  private Node group(int depth) {
    at++;
    boolean lookAround = false;
    if (at < source.length() && source.charAt(at) == '?') {
      int start = at;
      at++;
      String rest = source.substring(at, Math.min(source.length(), at + 2));
      if (rest.startsWith("<=") || rest.startsWith("<!")) {
        at += 2;
        lookAround = true;
      } else if (rest.startsWith("=") || rest.startsWith("!")) {
        at++;
        lookAround = true;
      } else if (rest.startsWith(":") || rest.startsWith(">")) {
        at++;
      } else {
        while (at < source.length() && "imsx-".indexOf(source.charAt(at)) >= 0) {
          at++;
        }
        if (at < source.length() && source.charAt(at) == ')') {
          at++;
          return new Position();
        }
        if (at >= source.length() || source.charAt(at) != ':') {
          at = start;
          throw problem("a group of this kind is not supported");
        }
        at++;
      }
    }
    List<List<Element>> alternatives = alternatives(depth + 1);
    if (at >= source.length()) {
      throw problem("a group has no end");
    }
    at++;
    return new Group(lookAround, alternatives);
  }

  /** Index after a class, which may hold further classes. */
  private int classEnd(int start) {
    int open = 0;
    for (int i = start; i < source.length(); i++) {
      char c = source.charAt(i);
      if (c == '\\') {
        i++;
      } else if (c == '[') {
        open++;
      } else if (c == ']' && --open == 0) {
        return i + 1;
      }
    }
    throw problem("a class has no end");
  }

  private Node escape() {
    int start = at;
    char c = at + 1 < source.length() ? source.charAt(at + 1) : ' ';
    at += 2;
    if (POSITION_ESCAPES.indexOf(c) >= 0) {
      return new Position();
    }
    if (c == 'p' || c == 'P' || c == 'x') {
      if (at < source.length() && source.charAt(at) == '{') {
        int end = source.indexOf('}', at);
        if (end < 0) {
          throw problem("an escape has no end");
        }
        at = end + 1;
      } else {
        at = Math.min(source.length(), at + (c == 'x' ? 2 : 1));
      }
    } else if (c == 'u') {
      at = Math.min(source.length(), at + 4);
    } else if (Character.isLetterOrDigit(c) && CHARACTER_ESCAPES.indexOf(c) < 0) {
      at = start;
      throw problem("\\" + c + " is not supported");
    }
    return new Atom(source.substring(start, Math.min(source.length(), at)));
  }

  private Element repeated(Node node) {
    int min = 1;
    int max = 1;
    char c = at < source.length() ? source.charAt(at) : ' ';
    if (c == '*' || c == '+' || c == '?') {
      min = c == '+' ? 1 : 0;
      max = c == '?' ? 1 : Integer.MAX_VALUE;
      at++;
      // Lazy or possessive.
      if (at < source.length() && (source.charAt(at) == '?' || source.charAt(at) == '+')) {
        at++;
      }
    } else if (c == '{' && source.substring(at).matches("(?s)\\{(\\d+,?\\d*|,\\d+)}.*")) {
      int end = source.indexOf('}', at);
      String[] bounds = source.substring(at + 1, end).split(",", -1);
      at = end + 1;
      min = number(bounds[0], 0);
      max = bounds.length == 1 ? min : number(bounds[1], Integer.MAX_VALUE);
      if (min > MOST_REPETITIONS || (max > MOST_REPETITIONS && max < Integer.MAX_VALUE)) {
        throw problem("a repetition has a bound above " + MOST_REPETITIONS);
      }
      if (at < source.length() && source.charAt(at) == '?') {
        at++;
      }
    } else {
      return new Element(node, 1, 1);
    }
    boolean again = at < source.length() && "*+?{".indexOf(source.charAt(at)) >= 0;
    if (again || node instanceof Position) {
      throw problem("a repetition repeats a repetition or a position");
    }
    return new Element(node, min, max);
  }

  private int number(String digits, int absent) {
    if (digits.length() > 9) {
      throw problem("a repetition has a bound above " + MOST_REPETITIONS);
    }
    return digits.isEmpty() ? absent : Integer.parseInt(digits);
  }

  private IllegalArgumentException problem(String problem) {
    return new IllegalArgumentException(problem + ", at character " + at);
  }
}

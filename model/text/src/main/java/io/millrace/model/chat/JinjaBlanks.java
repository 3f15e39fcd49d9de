package io.millrace.model.chat;

import java.util.Set;

/**
 * Applies Jinja's white-space control to a template, with transformers' settings ({@code
 * trim_blocks} and {@code lstrip_blocks} on). The result renders the same without any white-space
 * control, which the template engine here supports only in part.
 *
 * @see <a
 *     href="https://jinja.palletsprojects.com/en/stable/templates/#whitespace-control">Whitespace
 *     control</a>
 */
final class JinjaBlanks {
  private static final Set<String> BLOCKS = Set.of("if", "for", "macro", "call", "generation");
  private static final int DEEPEST = 50;

  private final String source;
  private final StringBuilder out = new StringBuilder();
  private int at;
  private int depth;

  private JinjaBlanks(String source) {
    this.source = source;
  }

  /**
   * The template without comments, without white-space control signs and without {@code generation}
   * tags.
   *
   * @throws IllegalArgumentException for a tag without an end
   */
  static String resolved(String source) {
    String text = source.replace("\r\n", "\n");
    // Jinja drops a single newline at the end of a template.
    return new JinjaBlanks(text.endsWith("\n") ? text.substring(0, text.length() - 1) : text).run();
  }

  private String run() {
    boolean stripNext = false;
    boolean lineStart = true;
    while (at < source.length()) {
      int tag = nextTag();
      String text = source.substring(at, tag);
      boolean textAtLineStart = lineStart;
      if (stripNext) {
        text = text.stripLeading();
      }
      if (tag == source.length()) {
        out.append(text);
        break;
      }
      char kind = source.charAt(tag + 1);
      char sign = tag + 2 < source.length() ? source.charAt(tag + 2) : ' ';
      if (sign == '-') {
        text = text.stripTrailing();
      } else if (sign != '+' && kind != '{') {
        text = withoutIndent(text, textAtLineStart);
      }
      out.append(text);
      int end = tagEnd(tag, kind);
      char last = source.charAt(end - 1);
      boolean signed = end - 1 > tag + 2 && (last == '-' || last == '+');
      if (kind != '#') {
        int from = tag + (sign == '-' || sign == '+' ? 3 : 2);
        String content = source.substring(from, signed ? end - 1 : end);
        if (kind != '%' || isKept(content)) {
          out.append(source, tag, tag + 2).append(' ').append(content).append(' ');
          out.append(source, end, end + 2);
        }
      }
      stripNext = signed && last == '-';
      at = end + 2;
      lineStart = false;
      if (kind != '{' && !signed && at < source.length() && source.charAt(at) == '\n') {
        at++;
        lineStart = true;
      }
    }
    return out.toString();
  }

  /**
   * Counts the nesting of a tag. The tags around the text that an assistant generates are dropped:
   * they mark it for training in transformers, and print nothing.
   */
  private boolean isKept(String content) {
    String name = content.strip().split("\\W", 2)[0];
    if (BLOCKS.contains(name)) {
      depth++;
      if (depth > DEEPEST) {
        throw new IllegalArgumentException(
            "its tags are nested more than %d deep".formatted(DEEPEST));
      }
    } else if (name.startsWith("end")) {
      depth--;
    }
    return !name.equals("generation") && !name.equals("endgeneration");
  }

  private int nextTag() {
    for (int i = at; i + 1 < source.length(); i++) {
      if (source.charAt(i) == '{' && "{%#".indexOf(source.charAt(i + 1)) >= 0) {
        return i;
      }
    }
    return source.length();
  }

  /** Removes the white space before a tag that is the first on its line. */
  private static String withoutIndent(String text, boolean lineStart) {
    int line = text.lastIndexOf('\n') + 1;
    boolean beginsLine = line > 0 || lineStart;
    return beginsLine && text.substring(line).isBlank() ? text.substring(0, line) : text;
  }

  /** Index of the two characters that end a tag. Those within quotation marks do not count. */
  private int tagEnd(int tag, char kind) {
    String close = (kind == '{' ? "}" : String.valueOf(kind)) + "}";
    char quote = 0;
    int brackets = 0;
    for (int i = tag + 2; i < source.length(); i++) {
      char c = source.charAt(i);
      if (quote != 0) {
        if (c == '\\') {
          i++;
        } else if (c == quote) {
          quote = 0;
        }
      } else if (kind != '#' && (c == '\'' || c == '"')) {
        quote = c;
      } else if (source.startsWith(close, i)) {
        return i;
      } else if (kind != '#') {
        brackets += "([{".indexOf(c) >= 0 ? 1 : ")]}".indexOf(c) >= 0 ? -1 : 0;
        if (brackets > DEEPEST) {
          throw new IllegalArgumentException(
              "its brackets are nested more than %d deep".formatted(DEEPEST));
        }
      }
    }
    throw new IllegalArgumentException(
        "the tag \"%s\" at character %d has no end".formatted(source.substring(tag, tag + 2), tag));
  }
}

package io.millrace.model.tokenizer;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;
import java.util.Set;

/**
 * The Llama-2 chat template in its known spellings. A template is a program that other consumers of
 * a checkpoint run; since it is not run here, only those known to say the same are taken for it.
 */
enum Llama2Template {
  /** Contents stand as they are: the form that trained tokenizers carry. */
  VERBATIM,

  /** Contents lose white space at both ends, as in the checkpoints that Meta published. */
  STRIPPED;

  /** Jinja as transformers runs it; {@code bos_token + '[INST] '} is how llama.cpp knows it. */
  static final String SOURCE =
      "{% set first = 1 if messages[0]['role'] == 'system' else 0 %}"
          + "{% for message in messages[first:] %}"
          + "{% if message['role'] != ('user' if loop.index0 % 2 == 0 else 'assistant') %}"
          + "{{ raise_exception('turn ' + (loop.index0 + first) | string + ' is by '"
          + " + message['role'] + '; after an optional system turn, user and assistant alternate')"
          + " }}"
          + "{% endif %}"
          + "{% if message['role'] == 'user' %}"
          + "{{ bos_token + '[INST] ' }}"
          + "{% if first and loop.first %}"
          + "{{ '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' }}"
          + "{% endif %}"
          + "{{ message['content'] + ' [/INST]' }}"
          + "{% else %}"
          + "{{ ' ' + message['content'] + ' ' + eos_token }}"
          + "{% endif %}"
          + "{% endfor %}";

  /**
   * SHA-256 of {@link #normalized} published templates: of Llama-2-7b-chat-hf and its siblings, and
   * of the older form with a branch for later system turns, which its first check never reaches.
   */
  private static final Set<String> PUBLISHED =
      Set.of(
          "9a69ef3b6b0ab3b3be5a3d28c1e9daef172702a0d5570061a77744916c04b0aa",
          "227fb8dd15836f7524ed950b48eecc2a30113598ff9fdc0e2496a1176207a6ab");

  static Optional<Llama2Template> recognize(String source) {
    String normalized = normalized(source);
    if (normalized.equals(normalized(SOURCE))) {
      return Optional.of(VERBATIM);
    }
    return PUBLISHED.contains(sha256(normalized)) ? Optional.of(STRIPPED) : Optional.empty();
  }

  /**
   * The template without what makes no difference: white space between the words of a tag, the kind
   * of its quotation marks, and white space at the template's ends. Text outside of tags and within
   * quotation marks is output, and stays.
   */
  static String normalized(String source) {
    StringBuilder out = new StringBuilder();
    boolean tag = false;
    char quote = 0;
    String text = source.strip();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (quote != 0) {
        out.append(c == quote ? '\'' : c);
        if (c == '\\' && i + 1 < text.length()) {
          out.append(text.charAt(++i));
        } else if (c == quote) {
          quote = 0;
        }
      } else if (tag && (c == '\'' || c == '"')) {
        quote = c;
        out.append('\'');
      } else if (!tag || !Character.isWhitespace(c)) {
        out.append(c);
        if (text.startsWith("{%", i) || text.startsWith("{{", i)) {
          tag = true;
        } else if (c == '}' && i > 0 && (text.charAt(i - 1) == '%' || text.charAt(i - 1) == '}')) {
          tag = false;
        }
      }
    }
    return out.toString();
  }

  private static String sha256(String text) {
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
      return HexFormat.of().formatHex(digest);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java has SHA-256", e);
    }
  }
}

package io.millrace.model.tokenizer;

import io.millrace.model.tokenizer.Message.Role;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * Dialogues as tokens, in the form of Llama 2-Chat: {@code <s>[INST] <<SYS>>…<</SYS>> user [/INST]
 * answer </s>}, turn after turn. Beginning and end are put in as token ids, never as text.
 */
public final class ChatTemplate {

  /** The same in Jinja, for those who load the checkpoint. */
  static final String LLAMA2 =
      "{% if messages[0]['role'] == 'system' %}"
          + "{% set rest = messages[1:] %}"
          + "{% set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}"
          + "{% else %}{% set rest = messages %}{% set system = '' %}{% endif %}"
          + "{% for message in rest %}"
          + "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
          + "{{ raise_exception('user and assistant must take turns') }}{% endif %}"
          + "{% if message['role'] == 'user' %}"
          + "{{ bos_token + '[INST] ' + (system if loop.first else '')"
          + " + message['content'].strip() + ' [/INST]' }}"
          + "{% else %}{{ ' ' + message['content'].strip() + ' ' + eos_token }}{% endif %}"
          + "{% endfor %}";

  private static final List<String> LLAMA2_MARKS =
      List.of("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "bos_token", "eos_token");

  private final Tokenizer tokenizer;
  private final int bos;
  private final int eos;

  private ChatTemplate(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
    this.bos = tokenizer.bos();
    this.eos = tokenizer.eos();
  }

  /**
   * The template that a tokenizer's configuration holds.
   *
   * @throws TokenizerException where there is none, or one of another form
   */
  public static ChatTemplate of(Tokenizer tokenizer) {
    String template =
        tokenizer.chatTemplate().orElseThrow(() -> refused(tokenizer, "holds no chat_template"));
    for (String mark : LLAMA2_MARKS) {
      if (!template.contains(mark)) {
        throw refused(
            tokenizer,
            "holds a chat_template that is not of Llama 2-Chat's form: it lacks " + mark);
      }
    }
    return new ChatTemplate(tokenizer);
  }

  private static TokenizerException refused(Tokenizer tokenizer, String what) {
    return new TokenizerException(tokenizer.directory().resolve(Tokenizer.CONFIG), what, null);
  }

  /**
   * A whole dialogue in tokens.
   *
   * @param loss the tokens of answers and their ends, {@code [tokens]}
   */
  public record Tokenized(int[] tokens, boolean[] loss) {}

  /** The tokens of a dialogue that ends with a user turn, up to where the response begins. */
  public int[] promptTokens(List<Message> dialogue) {
    Message.requireDialogue(dialogue, Role.USER);
    return tokenize(dialogue).tokens();
  }

  /** The tokens of a response, its end included. */
  public int[] responseTokens(String response) {
    int[] text = tokenizer.encode(" " + response.strip() + " ");
    int[] tokens = Arrays.copyOf(text, text.length + 1);
    tokens[text.length] = eos;
    return tokens;
  }

  /** A response's text: without its end and the spaces around it. */
  public String responseText(int[] tokens) {
    return tokenizer.decode(tokens).strip();
  }

  /**
   * A dialogue that ends with an assistant turn, with the tokens marked that are to be imitated.
   */
  public Tokenized demonstration(List<Message> dialogue) {
    Message.requireDialogue(dialogue, Role.ASSISTANT);
    return tokenize(dialogue);
  }

  /** The text that a dialogue's tokens stand for, special tokens left out. */
  public static Stream<String> pieces(List<Message> dialogue) {
    List<String> pieces = new ArrayList<>();
    String system = "";
    for (Message message : dialogue) {
      switch (message.role()) {
        case SYSTEM -> system = "<<SYS>>\n" + message.content() + "\n<</SYS>>\n\n";
        case USER -> {
          pieces.add("[INST] " + system + message.content().strip() + " [/INST]");
          system = "";
        }
        case ASSISTANT -> pieces.add(" " + message.content().strip() + " ");
      }
    }
    return pieces.stream();
  }

  private Tokenized tokenize(List<Message> dialogue) {
    List<int[]> turns = new ArrayList<>();
    boolean user = true;
    for (String piece : (Iterable<String>) pieces(dialogue)::iterator) {
      int[] text = tokenizer.encode(piece);
      int[] turn = new int[text.length + 1];
      System.arraycopy(text, 0, turn, user ? 1 : 0, text.length);
      turn[user ? 0 : text.length] = user ? bos : eos;
      turns.add(turn);
      user = !user;
    }
    int length = turns.stream().mapToInt(turn -> turn.length).sum();
    int[] tokens = new int[length];
    boolean[] loss = new boolean[length];
    int at = 0;
    for (int i = 0; i < turns.size(); i++) {
      int[] turn = turns.get(i);
      System.arraycopy(turn, 0, tokens, at, turn.length);
      Arrays.fill(loss, at, at + turn.length, i % 2 == 1);
      at += turn.length;
    }
    return new Tokenized(tokens, loss);
  }
}

package io.millrace.model.tokenizer;

/** The tokens and texts around the turns of a dialogue, in two forms. */
public enum TurnMarks {
  /** {@code <|im_start|>user\nhi<|im_end|>\n}, OpenAI's Chat Markup Language. */
  CHATML("ChatML", "<|im_start|>", "", "\n", "<|im_end|>", "\n"),

  /**
   * {@code <|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>}, as in Meta's release of Llama
   * 3 (arXiv 2407.21783).
   */
  LLAMA3("Llama 3", "<|start_header_id|>", "<|end_header_id|>", "\n\n", "<|eot_id|>", "");

  /** Name of the form. */
  public final String title;

  /** The token before the role's name. */
  public final String open;

  /** The token after the role's name, or the empty string. */
  public final String endOfRole;

  /** The text between header and content. */
  public final String gap;

  /** The token that ends a turn. */
  public final String end;

  /** The text between two turns. */
  public final String between;

  TurnMarks(String title, String open, String endOfRole, String gap, String end, String between) {
    this.title = title;
    this.open = open;
    this.endOfRole = endOfRole;
    this.gap = gap;
    this.end = end;
    this.between = between;
  }

  /** The text of a header: everything before the content of a turn. */
  public String header(String role) {
    return open + role + endOfRole + gap;
  }

  /** The text of a whole turn. */
  public String turn(String role, String content) {
    return header(role) + content + end + between;
  }
}

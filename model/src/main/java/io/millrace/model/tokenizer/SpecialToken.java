package io.millrace.model.tokenizer;

/** The special tokens of a tokenizer that Millrace trains. */
enum SpecialToken {
  PAD("<pad>"),
  BOS("<s>"),
  EOS("</s>"),
  SEPARATOR("<sep>");

  private final String text;

  SpecialToken(String text) {
    this.text = text;
  }

  String text() {
    return text;
  }
}

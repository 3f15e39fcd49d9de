package io.millrace.jobs.operator;

import io.millrace.connectors.checkpoint.CheckpointStore;
import io.millrace.connectors.flink.RecordCheck;
import io.millrace.model.tokenizer.ChatTemplate;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.RefusedRecordException;
import java.io.IOException;
import java.io.Serializable;

/** Sends records that are longer than a job's models take to the dead letters. */
public final class LengthCheck<T> implements RecordCheck<T> {

  private static final long serialVersionUID = 1;

  /** Counts a record's tokens. */
  private interface Length<T> extends Serializable {
    int of(ChatTemplate template, T record);
  }

  private final String checkpoint;
  private final String option;
  private final int maxTokens;
  private final Length<T> length;
  private transient Tokenizer tokenizer;
  private transient ChatTemplate template;

  private LengthCheck(String checkpoint, String option, int maxTokens, Length<T> length) {
    this.checkpoint = checkpoint;
    this.option = option;
    this.maxTokens = maxTokens;
    this.length = length;
  }

  public static LengthCheck<Demonstration> demonstrations(String checkpoint, int maxTokens) {
    return new LengthCheck<>(
        checkpoint,
        "supervised.max-tokens",
        maxTokens,
        (template, record) ->
            template.demonstration(Dialogues.messages(record.getDialogue())).tokens().length);
  }

  public static LengthCheck<Judgment> judgments(String checkpoint, int maxTokens) {
    return new LengthCheck<>(
        checkpoint,
        "reward-model.max-tokens",
        maxTokens,
        (template, record) -> new JudgmentTokens(template).length(record));
  }

  public static LengthCheck<Prompt> prompts(String checkpoint, int maxTokens) {
    return new LengthCheck<>(
        checkpoint,
        "rollout.max-prompt-tokens",
        maxTokens,
        (template, record) ->
            template.promptTokens(Dialogues.messages(record.getDialogue())).length);
  }

  @Override
  public void open() throws IOException {
    tokenizer = Tokenizer.load(CheckpointStore.resolve(checkpoint));
    template = ChatTemplate.of(tokenizer);
  }

  @Override
  public void check(T record) {
    int tokens = length.of(template, record);
    if (tokens > maxTokens) {
      throw new RefusedRecordException(
          "too-long", "%d tokens, where %s allows %d".formatted(tokens, option, maxTokens));
    }
  }

  @Override
  public void close() {
    Closing.closeAll(tokenizer);
  }
}

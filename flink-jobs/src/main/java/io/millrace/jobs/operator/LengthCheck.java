package io.millrace.jobs.operator;

import io.millrace.connectors.checkpoint.LocalCheckpoint;
import io.millrace.connectors.flink.RecordCheck;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.SupervisedSection;
import io.millrace.jobs.config.SupervisedSection.LearnedTokens;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.tokenizer.ChatTemplate;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Validation;
import java.io.IOException;
import java.io.Serializable;

/** Sends records that are longer than a job's models take to the dead letters. */
public final class LengthCheck<T> implements RecordCheck<T> {

  private static final long serialVersionUID = 1;

  /** Counts a record's tokens. */
  private interface Length<T> extends Serializable {
    int of(ChatTemplate template, T record);
  }

  private final RuntimeSettings settings;
  private final String option;
  private final int maxTokens;
  private final int responseTokens;
  private final Length<T> length;
  private transient Tokenizer tokenizer;
  private transient ChatTemplate template;
  private transient int limit;
  private transient String limitedBy;

  private LengthCheck(
      MillraceConfig config, String option, int maxTokens, int responseTokens, Length<T> length) {
    this.settings = new RuntimeSettings(config);
    this.option = option;
    this.maxTokens = maxTokens;
    this.responseTokens = responseTokens;
    this.length = length;
  }

  /** Dialogues that fit into a training sequence; where all tokens are learned, anything does. */
  public static LengthCheck<Demonstration> demonstrations(MillraceConfig config) {
    SupervisedSection section = config.supervised();
    boolean cut = section.loss() == LearnedTokens.ALL_TOKENS;
    return new LengthCheck<>(
        config,
        "supervised.sequence-length",
        section.sequenceLength(),
        0,
        (template, record) -> cut ? 0 : demonstrationLength(template, record));
  }

  private static int demonstrationLength(ChatTemplate template, Demonstration record) {
    if (Validation.isText(record)) {
      throw new RefusedRecordException(
          "no-answer", "a plain text has no answer to learn; supervised.loss=all-tokens learns it");
    }
    return template.demonstration(Dialogues.messages(record.getDialogue())).tokens().length;
  }

  /** Judgments whose responses fit. */
  public static LengthCheck<Judgment> judgments(MillraceConfig config) {
    return new LengthCheck<>(
        config,
        "reward-model.max-tokens",
        config.rewardModel().maxTokens(),
        0,
        (template, record) -> new JudgmentTokens(template).length(record));
  }

  /** Prompts that leave room for their response. */
  public static LengthCheck<Prompt> prompts(MillraceConfig config) {
    return new LengthCheck<>(
        config,
        "rollout.max-prompt-tokens",
        config.rollout().maxPromptTokens(),
        config.rollout().maxTokens(),
        (template, record) ->
            template.promptTokens(Dialogues.messages(record.getDialogue())).length);
  }

  @Override
  public void open() throws IOException {
    try (LocalCheckpoint initial = settings.describeInitial()) {
      tokenizer = Tokenizer.load(initial.directory());
      template = ChatTemplate.of(tokenizer);
      int positions = CheckpointOutline.read(initial.directory()).config().maxPositions();
      int room = positions - responseTokens;
      limit = Math.min(maxTokens, room);
      limitedBy = maxTokens <= room ? option : "the model with " + positions + " positions";
    }
  }

  @Override
  public void check(T record) {
    int tokens = length.of(template, record);
    if (tokens > limit) {
      throw new RefusedRecordException(
          "too-long", "%d tokens, where %s allows %d".formatted(tokens, limitedBy, limit));
    }
  }

  @Override
  public void close() {
    Closing.closeAll(tokenizer);
  }
}

package io.millrace.jobs.models;

import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.connectors.flink.decode.RecordCheck;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.Closing;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.RefusedRecordException;
import java.io.IOException;
import java.io.Serializable;

/** Sends records that are longer than a job's models take to the dead letters. */
public final class LengthCheck<T> implements RecordCheck<T> {

  private static final long serialVersionUID = 1;

  /** Counts a record's tokens. */
  public interface Length<T> extends Serializable {
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

  /**
   * @param option the option that sets the limit, for messages
   * @param maxTokens the limit
   * @param responseTokens tokens that must be free after the record's own
   */
  public LengthCheck(
      MillraceConfig config, String option, int maxTokens, int responseTokens, Length<T> length) {
    this.settings = new RuntimeSettings(config);
    this.option = option;
    this.maxTokens = maxTokens;
    this.responseTokens = responseTokens;
    this.length = length;
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

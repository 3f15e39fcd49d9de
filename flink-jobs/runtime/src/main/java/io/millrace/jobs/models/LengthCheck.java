package io.millrace.jobs.models;

import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.connectors.flink.decode.RecordCheck;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.Closing;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.ForgedTurnException;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.tokenizer.TextTooLongException;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.RefusedRecordException;
import java.io.IOException;
import java.io.Serializable;

/**
 * Sends records that are longer than a job's models take to the dead letters. Where the job can do
 * with the end of a dialogue, its oldest turns are dropped first.
 */
public final class LengthCheck<T> implements RecordCheck<T> {

  private static final long serialVersionUID = 1;
  private static final String TOO_LONG = "too-long";

  /** Counts a record's tokens. */
  public interface Length<T> extends Serializable {
    int of(ChatTemplate template, T record);
  }

  /** Drops the oldest turns of a record's dialogue. */
  public interface Shortening<T> extends Serializable {
    /** Pairs of a user and an assistant turn that can be dropped. */
    int droppable(T record);

    /** The record without its oldest pairs of turns. */
    T without(T record, int pairs);
  }

  private final RuntimeSettings settings;
  private final String option;
  private final int maxTokens;
  private final int responseTokens;
  private final Length<T> length;
  private final Shortening<T> shortening;
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
    this(config, option, maxTokens, responseTokens, length, null);
  }

  /**
   * @param option the option that sets the limit, for messages
   * @param maxTokens the limit
   * @param responseTokens tokens that must be free after the record's own
   * @param shortening of longer records; null refuses them
   */
  public LengthCheck(
      MillraceConfig config,
      String option,
      int maxTokens,
      int responseTokens,
      Length<T> length,
      Shortening<T> shortening) {
    this.settings = new RuntimeSettings(config);
    this.option = option;
    this.maxTokens = maxTokens;
    this.responseTokens = responseTokens;
    this.length = length;
    this.shortening = shortening;
  }

  /**
   * For records that a job cuts into pieces. Only records that are too long to be tokenized are
   * refused.
   *
   * @param length checks the record with {@link ChatTemplate#requireEncodable}
   */
  public static <T> LengthCheck<T> ofPieces(MillraceConfig config, Length<T> length) {
    return new LengthCheck<>(config, "", Integer.MAX_VALUE, 0, length);
  }

  @Override
  public void open() throws IOException {
    try (LocalCheckpoint initial = settings.describeInitial()) {
      int positions = CheckpointOutline.read(initial.directory()).config().maxPositions();
      int room = maxTokens == Integer.MAX_VALUE ? maxTokens : positions - responseTokens;
      limit = Math.min(maxTokens, room);
      limitedBy = maxTokens <= room ? option : "the model with " + positions + " positions";
      tokenizer = Tokenizer.load(initial.directory(), Math.max(1, limit));
      template = ChatTemplate.of(tokenizer, settings.config().model().turnMarks());
    }
  }

  /** Drops as few turns as possible; by bisection, since each try tokenizes the record. */
  @Override
  public T shorten(T record) {
    if (shortening == null || shortening.droppable(record) == 0 || fits(record)) {
      return record;
    }
    int tooFew = 0;
    int pairs = shortening.droppable(record);
    T shortest = shortening.without(record, pairs);
    if (!fits(shortest)) {
      return record;
    }
    while (pairs - tooFew > 1) {
      int middle = (tooFew + pairs) >>> 1;
      T candidate = shortening.without(record, middle);
      if (fits(candidate)) {
        pairs = middle;
        shortest = candidate;
      } else {
        tooFew = middle;
      }
    }
    return shortest;
  }

  private boolean fits(T record) {
    try {
      check(record);
      return true;
    } catch (RefusedRecordException e) {
      return !e.reason().equals(TOO_LONG);
    }
  }

  @Override
  public void check(T record) {
    int tokens;
    try {
      tokens = length.of(template, record);
    } catch (TextTooLongException e) {
      throw new RefusedRecordException("too-long", e.getMessage());
    } catch (ForgedTurnException e) {
      throw new RefusedRecordException("forged-turn", e.getMessage());
    }
    if (tokens > limit) {
      throw new RefusedRecordException(
          TOO_LONG, "%d tokens, where %s allows %d".formatted(tokens, limitedBy, limit));
    }
  }

  @Override
  public void close() {
    Closing.closeAll(tokenizer);
  }
}

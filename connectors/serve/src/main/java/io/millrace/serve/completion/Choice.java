package io.millrace.serve.completion;

import io.millrace.model.chat.ResponseText;
import io.millrace.model.sampling.SampledToken;
import io.millrace.serve.api.StopText;
import io.millrace.serve.sampling.Generation;
import io.millrace.serve.sampling.TextCodec;
import java.util.ArrayList;
import java.util.List;

/** One response of a completion, while it is sampled and afterwards. */
public final class Choice {

  private final int index;
  private final Generation generation;
  private final int sample;
  private final long seed;
  private final int[] prompt;
  private final ResponseText text;
  private final StopText stop;
  private final StringBuilder content = new StringBuilder();
  private final List<SampledToken> tokens = new ArrayList<>();
  private Finish finish;

  /** Why a response ended. */
  public enum Finish {
    /** At a token that ends a response. */
    STOP_TOKEN("stop"),
    /** At a text that the request named. */
    STOP_TEXT("stop"),
    /** At the length limit. */
    LENGTH("length");

    private final String reason;

    Finish(String reason) {
      this.reason = reason;
    }

    /** OpenAI's {@code finish_reason}. */
    public String reason() {
      return reason;
    }
  }

  Choice(
      int index,
      Generation generation,
      int sample,
      long seed,
      int[] prompt,
      TextCodec codec,
      boolean chat,
      List<String> stops) {
    this.index = index;
    this.generation = generation;
    this.sample = sample;
    this.seed = seed;
    this.prompt = prompt;
    this.text = chat ? new ResponseText(codec.template()) : new ResponseText(codec.tokenizer());
    this.stop = new StopText(stops);
  }

  /** Takes news of this response; returns what a client gets of them. */
  Part add(Generation.News news) {
    StringBuilder added = new StringBuilder();
    int before = tokens.size();
    for (SampledToken token : news.tokens()) {
      if (finish != null) {
        break;
      }
      tokens.add(token);
      added.append(stop.add(text.add(token.id())));
      if (stop.isStopped()) {
        end(Finish.STOP_TEXT);
        generation.cancel(sample);
      }
    }
    if (finish == null && news.response() != null) {
      added.append(stop.add(text.end()));
      added.append(stop.end());
      end(
          stop.isStopped()
              ? Finish.STOP_TEXT
              : news.response().stopped() ? Finish.STOP_TOKEN : Finish.LENGTH);
    }
    content.append(added);
    return new Part(
        this, added.toString(), List.copyOf(tokens.subList(before, tokens.size())), finish);
  }

  private void end(Finish reason) {
    finish = reason;
  }

  /**
   * What came of a response since the last part.
   *
   * @param finish null before the last part
   */
  public record Part(Choice choice, String text, List<SampledToken> tokens, Finish finish) {}

  Generation generation() {
    return generation;
  }

  int sample() {
    return sample;
  }

  /** Place among the responses of the completion. */
  public int index() {
    return index;
  }

  /** Seed of its random numbers. */
  public long seed() {
    return seed;
  }

  /** Token ids of its prompt. */
  public int[] prompt() {
    return prompt;
  }

  /** Text so far. */
  public String content() {
    return content.toString();
  }

  /** Tokens so far, the stop token included. */
  public List<SampledToken> tokens() {
    return List.copyOf(tokens);
  }

  /** Why it ended; null before. */
  public Finish finish() {
    return finish;
  }
}

package io.millrace.cli.chat;

import io.millrace.cli.model.OpenPolicy;
import io.millrace.cli.model.SamplingFlags;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.chat.ResponseText;
import io.millrace.model.chat.Role;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** One policy of a chat, with the dialogue as this policy has seen it. */
final class Speaker implements AutoCloseable {

  private final String title;
  private final ChatTemplate template;
  private final SamplingOptions options;
  private final long seed;
  private final int context;
  private final SamplingEngine engine;

  private final List<Message> dialogue = new ArrayList<>();
  private ResponseText response;
  private String waiting = "";
  private int responses;

  /**
   * @param context most tokens of a dialogue with its response
   */
  Speaker(OpenPolicy policy, SamplingFlags sampling, int context) {
    this.title = policy.title();
    this.template = policy.template();
    this.options = sampling.options(template.stopTokens(policy.model().config().eosTokens()));
    this.seed = sampling.seed();
    this.context = Math.min(context, policy.model().config().maxPositions());
    this.engine = new SamplingEngine(policy.model(), EngineSettings.of(1, this.context));
    engine.listen((request, sample, token) -> waiting += response.add(token.id()));
  }

  String title() {
    return title;
  }

  List<Message> dialogue() {
    return List.copyOf(dialogue);
  }

  /** Goes on from another dialogue. */
  void setDialogue(List<Message> turns) {
    dialogue.clear();
    dialogue.addAll(turns);
  }

  /**
   * Begins a response to the dialogue, which ends with a user turn. The oldest exchanges are left
   * out where they exceed the context; a system turn stays.
   *
   * @return the number of turns that are left out
   * @throws IllegalArgumentException if the last turn alone is too long
   */
  int begin() {
    List<Message> shown = new ArrayList<>(dialogue);
    int system = shown.getFirst().role() == Role.SYSTEM ? 1 : 0;
    int[] tokens = template.promptTokens(shown);
    while (tokens.length + options.maxTokens() > context) {
      if (shown.size() - system < 3) {
        throw new IllegalArgumentException(
            "%s takes %d tokens; the turn has %d and --max-tokens is %d; shorten the text or lower --max-tokens"
                .formatted(title, context, tokens.length, options.maxTokens()));
      }
      shown.subList(system, system + 2).clear();
      tokens = template.promptTokens(shown);
    }
    response = new ResponseText(template);
    waiting = "";
    long responseSeed = SamplingRequest.seed(seed, Integer.toString(responses++));
    if (!engine.offer(SamplingRequest.single(tokens, responseSeed, options))) {
      throw new IllegalStateException("the sampling engine is busy");
    }
    return dialogue.size() - shown.size();
  }

  /** Whether the response is not complete. */
  boolean isSpeaking() {
    return !engine.isIdle();
  }

  /** Samples one token; returns the text that it completes. The last call adds the response. */
  String next() {
    boolean ended = !engine.step().isEmpty();
    if (ended) {
      waiting += response.end();
      dialogue.add(Message.assistant(response.text()));
    }
    String text = waiting;
    waiting = "";
    return text;
  }

  /** Removes the last response; empty when there is none. */
  Optional<Message> removeResponse() {
    return dialogue.isEmpty() || dialogue.getLast().role() != Role.ASSISTANT
        ? Optional.empty()
        : Optional.of(dialogue.removeLast());
  }

  void add(Message message) {
    dialogue.add(message);
  }

  @Override
  public void close() {
    engine.close();
  }
}

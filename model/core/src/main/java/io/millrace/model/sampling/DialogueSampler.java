package io.millrace.model.sampling;

import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.llama.LanguageModel;
import java.util.ArrayList;
import java.util.List;

/**
 * Samples the assistant turns of whole dialogues whose user turns are given. Each response becomes
 * part of the prompt for the next turn. All dialogues advance together, one turn at a time.
 */
public final class DialogueSampler implements AutoCloseable {

  private static final int RUNNING = 32;

  private final ChatTemplate template;
  private final SamplingOptions options;
  private final int maxPositions;
  private final long seed;
  private final SamplingEngine engine;

  /**
   * A sampler over a model.
   *
   * @param model the caller closes it
   * @param template the chat template of the model's tokenizer
   * @param options for each response; the stop tokens are those of the template and the model
   *     instead
   * @param seed of the run; the seed of a response is derived from it and from the numbers of the
   *     dialogue and turn
   */
  public DialogueSampler(
      LanguageModel model, ChatTemplate template, SamplingOptions options, long seed) {
    this.template = template;
    this.options =
        new SamplingOptions(
            options.maxTokens(),
            options.temperature(),
            options.topP(),
            template.stopTokens(model.config().eosTokens()));
    this.maxPositions = model.config().maxPositions();
    this.seed = seed;
    this.engine = new SamplingEngine(model, EngineSettings.of(RUNNING, maxPositions));
  }

  /**
   * Samples the assistant turns. A dialogue ends early when its next response might not fit the
   * model's positions; it then has the turns so far.
   *
   * @param userTurns user turns of each dialogue
   * @return the dialogues, with a response after each user turn
   */
  public List<List<Message>> sample(List<List<String>> userTurns) {
    List<List<Message>> dialogues = new ArrayList<>();
    userTurns.forEach(_ -> dialogues.add(new ArrayList<>()));
    int longest = userTurns.stream().mapToInt(List::size).max().orElse(0);
    for (int turn = 0; turn < longest; turn++) {
      List<List<Message>> advancing = new ArrayList<>();
      List<SamplingRequest> requests = new ArrayList<>();
      for (int i = 0; i < dialogues.size(); i++) {
        List<Message> dialogue = dialogues.get(i);
        if (turn >= userTurns.get(i).size() || dialogue.size() < 2 * turn) {
          continue;
        }
        List<Message> prompt = new ArrayList<>(dialogue);
        prompt.add(Message.user(userTurns.get(i).get(turn)));
        int[] tokens = template.promptTokens(prompt);
        if (tokens.length + options.maxTokens() <= maxPositions) {
          advancing.add(dialogue);
          dialogue.add(prompt.getLast());
          requests.add(
              SamplingRequest.single(tokens, SamplingRequest.seed(seed, i + "/" + turn), options));
        }
      }
      List<SampledResponse> responses = engine.sampleAll(requests);
      for (int i = 0; i < advancing.size(); i++) {
        advancing.get(i).add(Message.assistant(template.responseText(responses.get(i).tokens())));
      }
    }
    return dialogues;
  }

  @Override
  public void close() {
    engine.close();
  }
}

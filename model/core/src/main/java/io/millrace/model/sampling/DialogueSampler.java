package io.millrace.model.sampling;

import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.llama.LanguageModel;
import java.util.ArrayList;
import java.util.List;

/**
 * Whole dialogues: what users say is given, what the assistant answers is sampled, turn after turn,
 * each answer part of the prompt for the next. All dialogues advance together.
 */
public final class DialogueSampler implements AutoCloseable {

  private static final int RUNNING = 32;

  private final ChatTemplate template;
  private final SamplingOptions options;
  private final int maxPositions;
  private final long seed;
  private final SamplingEngine engine;

  /**
   * @param model stays the caller's
   * @param options of each answer; stop tokens are the template's and the model's in any case
   * @param seed of the run; an answer's own follows from the numbers of its dialogue and turn
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
   * The dialogues with their answers. One that outgrows the model's positions ends there, with the
   * last answer that had room.
   *
   * @param userTurns of each dialogue what the user says, turn by turn
   */
  public List<List<Message>> sample(List<List<String>> userTurns) {
    List<List<Message>> dialogues = new ArrayList<>();
    userTurns.forEach(_ -> dialogues.add(new ArrayList<>()));
    int longest = userTurns.stream().mapToInt(List::size).max().orElse(0);
    for (int turn = 0; turn < longest; turn++) {
      List<List<Message>> asked = new ArrayList<>();
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
          asked.add(dialogue);
          dialogue.add(prompt.getLast());
          requests.add(
              SamplingRequest.single(tokens, SamplingRequest.seed(seed, i + "/" + turn), options));
        }
      }
      List<SampledResponse> responses = engine.sampleAll(requests);
      for (int i = 0; i < asked.size(); i++) {
        asked.get(i).add(Message.assistant(template.responseText(responses.get(i).tokens())));
      }
    }
    return dialogues;
  }

  @Override
  public void close() {
    engine.close();
  }
}

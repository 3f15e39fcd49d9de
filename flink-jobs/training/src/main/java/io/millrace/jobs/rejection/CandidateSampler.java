package io.millrace.jobs.rejection;

import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.RewardModelPair;
import io.millrace.jobs.models.RewardModels;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.rollout.PolicySampler;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.Closing;
import io.millrace.jobs.safety.SafetyClassifier;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.TokenArrays;
import io.millrace.model.rejection.BestResponse;
import io.millrace.model.rejection.RejectionBag;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.Prompt;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.OptionalDouble;
import java.util.stream.IntStream;

/**
 * Samples K responses to each prompt over a temperature grid, and scores them. All responses to a
 * prompt come from one policy and are scored as one batch: the candidates depend on the prompt and
 * the models alone, bit for bit.
 */
final class CandidateSampler implements AutoCloseable {

  private final RuntimeSettings settings;
  private final Tokenizer tokenizer;
  private final ChatTemplate template;
  private final SafetyClassifier classifier;
  private final SamplingOptions options;
  private final RejectionSamplingSection section;
  private final Preprompts preprompts;
  private final PolicySampler sampler;

  // Used by the sampling thread alone.
  private final RewardModels rewardModels;
  private final IdentityHashMap<SamplingRequest, Asked> open = new IdentityHashMap<>();

  /** Candidates, and the key that their prompt was submitted with. */
  record Finished(long key, Candidates candidates) {}

  /**
   * @param waiting responses that may wait to be started
   */
  CandidateSampler(RuntimeSettings settings, Backend backend, int waiting) throws IOException {
    this.settings = settings;
    MillraceConfig config = settings.config();
    RolloutSection rollout = config.section(RolloutSection.class);
    section = config.section(RejectionSamplingSection.class);
    try (LocalCheckpoint initial = settings.describeInitial()) {
      tokenizer = Tokenizer.load(initial.directory());
      template = ChatTemplate.of(tokenizer);
      LlamaConfig model = CheckpointOutline.read(initial.directory()).config();
      options =
          new SamplingOptions(
              rollout.maxTokens(),
              1,
              (float) rollout.topP(),
              template.stopTokens(model.eosTokens()));
      preprompts = Preprompts.of(config, template, model);
    }
    classifier = config.section(PpoSection.class).classifier();
    sampler =
        new PolicySampler(
            backend, settings.checkpoints(), rollout, waiting, true, config.model().initial());
    rewardModels =
        new RewardModels(
            backend, settings.checkpoints(), config.section(PpoSection.class).piecewiseReward());
  }

  /** The policy that samples. */
  PolicySampler policy() {
    return sampler;
  }

  /** Hands a prompt over; its candidates come back under the same key. */
  void submit(long key, Prompt prompt) {
    List<Message> dialogue = Dialogues.messages(prompt.getDialogue());
    sampler.ask(
        new Question(key, prompt, dialogue, prompt.getIsSafety() || classifier.isSafety(dialogue)));
  }

  /**
   * Takes one step of the sampling engine and scores the prompts that are complete. Called on the
   * sampling thread.
   *
   * @param finished takes the candidates
   * @return false if there was nothing to do
   */
  boolean sample(RewardModelPair models, List<Finished> finished) throws IOException {
    List<SampledResponse> responses = new ArrayList<>();
    boolean worked = sampler.sample(responses);
    for (SampledResponse response : responses) {
      Asked asked = open.get(response.request());
      Question question = asked.question;
      if (question.take(asked.first + response.sample(), response)) {
        question.requests.forEach(open::remove);
        finished.add(new Finished(question.key, score(question, models)));
      }
    }
    return worked;
  }

  /** Responses to one request: a question's from the {@code first} on. */
  private record Asked(Question question, int first) {}

  /**
   * A prompt on the sampling thread. The first K of its responses are sampled without a message,
   * the others under {@code preprompts}.
   */
  private final class Question implements PolicySampler.Question {
    private final long key;
    private final Prompt prompt;
    private final String promptId;
    private final List<Message> dialogue;
    private final boolean isSafety;
    private final int[] tokens;
    private final List<Preprompts.Guided> guided;
    private final SampledResponse[] responses;
    private final List<SamplingRequest> requests = new ArrayList<>();
    private int sampled;
    private ModelRef policy;

    Question(long key, Prompt prompt, List<Message> dialogue, boolean isSafety) {
      this.key = key;
      this.prompt = prompt;
      this.promptId = prompt.getPromptId();
      this.dialogue = dialogue;
      this.isSafety = isSafety;
      this.tokens = template.promptTokens(dialogue);
      this.guided = isSafety ? preprompts.of(dialogue) : List.of();
      this.responses =
          new SampledResponse
              [section.samplesPerPrompt()
                  + guided.stream().mapToInt(Preprompts.Guided::samples).sum()];
    }

    @Override
    public List<SamplingRequest> to(long policyVersion, String uri) {
      requests.forEach(open::remove);
      requests.clear();
      policy = new ModelRef(policyVersion, uri, "");
      int first = ask(tokens, section.samplesPerPrompt(), 0);
      for (Preprompts.Guided prompt : guided) {
        first = ask(prompt.tokens(), prompt.samples(), first);
      }
      return requests;
    }

    /** Asks for responses from number {@code first} on; returns the number after the last. */
    private int ask(int[] promptTokens, int samples, int first) {
      long[] seeds = new long[samples];
      float[] ownTemperatures = new float[samples];
      for (int k = 0; k < samples; k++) {
        // A later policy samples the same prompt along another random stream.
        seeds[k] =
            SamplingRequest.seed(
                settings.config().model().seed(),
                promptId + "@" + policy.version() + "/" + (first + k));
        ownTemperatures[k] = temperature(first + k);
      }
      SamplingRequest request = new SamplingRequest(promptTokens, seeds, options, ownTemperatures);
      requests.add(request);
      open.put(request, new Asked(this, first));
      return first + samples;
    }

    /** Takes a response; returns whether it was the last. */
    boolean take(int number, SampledResponse response) {
      responses[number] = response;
      sampled++;
      return sampled == responses.length;
    }
  }

  private Candidates score(Question question, RewardModelPair models) throws IOException {
    List<int[]> sequences =
        Arrays.stream(question.responses)
            .map(response -> TokenArrays.join(question.tokens, response.tokens()))
            .toList();
    RewardModels.Scores scores = rewardModels.score(models, sequences);
    List<BestResponse.Response> responses = new ArrayList<>();
    for (int k = 0; k < question.responses.length; k++) {
      SampledResponse sampled = question.responses[k];
      responses.add(
          new BestResponse.Response(
              sampled.tokens(),
              template.responseText(sampled.tokens()),
              sampled.stopped(),
              temperature(k),
              scores.helpfulness()[k],
              scores.safety()[k]));
    }
    BestResponse best =
        BestResponse.among(
            responses,
            settings.config().section(PpoSection.class).piecewiseReward(),
            question.isSafety);
    int plain = section.samplesPerPrompt();
    return new Candidates(
        question.promptId,
        question.isSafety,
        Arrays.copyOf(best.rewards(), plain),
        Arrays.copyOf(best.usable(), plain),
        (int) responses.stream().limit(plain).filter(response -> !response.stopped()).count(),
        (int) responses.stream().limit(plain).filter(one -> one.text().isBlank()).count(),
        best.winner().isEmpty()
            ? null
            : entry(question, responses.get(best.winner().getAsInt()), models),
        new SamplingModels(question.policy, models),
        question.isSafety && preprompts.samples() > 0 ? guided(best) : null);
  }

  /** Compares the responses under a message with those without one. */
  private GuidedResponses guided(BestResponse best) {
    int plain = section.samplesPerPrompt();
    int all = best.rewards().length;
    OptionalDouble bestPlain = bestReward(best, 0, plain);
    OptionalDouble bestGuided = bestReward(best, plain, all);
    boolean compared = bestPlain.isPresent() && bestGuided.isPresent();
    return new GuidedResponses(
        all - plain,
        preprompts.samples() - (all - plain),
        best.winner().orElse(-1) >= plain,
        compared,
        compared ? bestGuided.getAsDouble() - bestPlain.getAsDouble() : 0);
  }

  private static OptionalDouble bestReward(BestResponse best, int from, int to) {
    return IntStream.range(from, to)
        .filter(k -> best.usable()[k])
        .mapToDouble(k -> best.rewards()[k])
        .max();
  }

  /**
   * The temperature of a prompt's response: number k mod n of the grid's n temperatures. Responses
   * under a message begin with k = 0 again.
   */
  private float temperature(int number) {
    List<Double> grid = section.temperatures();
    int k = number < section.samplesPerPrompt() ? number : number - section.samplesPerPrompt();
    return grid.get(k % grid.size()).floatValue();
  }

  private static RejectionBag.Entry entry(
      Question question, BestResponse.Response winner, RewardModelPair models) {
    return new RejectionBag.Entry(
        question.promptId,
        question.dialogue,
        question.isSafety,
        question.tokens,
        winner.tokens(),
        winner.text(),
        question.responses[0].policyVersion(),
        winner.temperature(),
        new RejectionBag.Scores(
            winner.helpfulnessScore(),
            winner.safetyScore(),
            models.helpfulness().version(),
            models.safety().version()),
        question.prompt.getSource(),
        question.prompt.getTime().toEpochMilli());
  }

  @Override
  public void close() {
    Closing.closeAll(sampler, rewardModels, tokenizer);
  }
}

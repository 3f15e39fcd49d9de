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
  private final float[] temperatures;
  private final PolicySampler sampler;

  // Used by the sampling thread alone.
  private final RewardModels rewardModels;
  private final IdentityHashMap<SamplingRequest, Question> open = new IdentityHashMap<>();

  /** Candidates, and the key that their prompt was submitted with. */
  record Finished(long key, Candidates candidates) {}

  /**
   * @param waiting responses that may wait to be started
   */
  CandidateSampler(RuntimeSettings settings, Backend backend, int waiting) throws IOException {
    this.settings = settings;
    MillraceConfig config = settings.config();
    RolloutSection rollout = config.section(RolloutSection.class);
    try (LocalCheckpoint initial = settings.describeInitial()) {
      tokenizer = Tokenizer.load(initial.directory());
      template = ChatTemplate.of(tokenizer);
      options =
          new SamplingOptions(
              rollout.maxTokens(),
              1,
              (float) rollout.topP(),
              template.stopTokens(
                  CheckpointOutline.read(initial.directory()).config().eosTokens()));
    }
    temperatures = temperatures(config.section(RejectionSamplingSection.class));
    classifier = config.section(PpoSection.class).classifier();
    sampler =
        new PolicySampler(
            backend, settings.checkpoints(), rollout, waiting, true, config.model().initial());
    rewardModels =
        new RewardModels(
            backend, settings.checkpoints(), config.section(PpoSection.class).piecewiseReward());
  }

  /** The temperature of each sample: sample k has number k mod n of the grid's n temperatures. */
  private static float[] temperatures(RejectionSamplingSection section) {
    float[] temperatures = new float[section.samplesPerPrompt()];
    List<Double> grid = section.temperatures();
    for (int k = 0; k < temperatures.length; k++) {
      temperatures[k] = grid.get(k % grid.size()).floatValue();
    }
    return temperatures;
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
      Question question = open.get(response.request());
      if (question.take(response)) {
        open.remove(question.request);
        finished.add(new Finished(question.key, score(question, models)));
      }
    }
    return worked;
  }

  /** A prompt on the sampling thread. */
  private final class Question implements PolicySampler.Question {
    private final long key;
    private final Prompt prompt;
    private final String promptId;
    private final List<Message> dialogue;
    private final boolean isSafety;
    private final int[] tokens;
    private final SampledResponse[] responses = new SampledResponse[temperatures.length];
    private int sampled;
    private SamplingRequest request;
    private ModelRef policy;

    Question(long key, Prompt prompt, List<Message> dialogue, boolean isSafety) {
      this.key = key;
      this.prompt = prompt;
      this.promptId = prompt.getPromptId();
      this.dialogue = dialogue;
      this.isSafety = isSafety;
      this.tokens = template.promptTokens(dialogue);
    }

    @Override
    public SamplingRequest to(long policyVersion, String uri) {
      open.remove(request);
      long[] seeds = new long[responses.length];
      for (int k = 0; k < seeds.length; k++) {
        // A later policy samples the same prompt along another random stream.
        seeds[k] =
            SamplingRequest.seed(
                settings.config().model().seed(), promptId + "@" + policyVersion + "/" + k);
      }
      policy = new ModelRef(policyVersion, uri, "");
      request = new SamplingRequest(tokens, seeds, options, temperatures);
      open.put(request, this);
      return request;
    }

    /** Takes a response; returns whether it was the last. */
    boolean take(SampledResponse response) {
      responses[response.sample()] = response;
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
              temperatures[k],
              scores.helpfulness()[k],
              scores.safety()[k]));
    }
    BestResponse best =
        BestResponse.among(
            responses,
            settings.config().section(PpoSection.class).piecewiseReward(),
            question.isSafety);
    return new Candidates(
        question.promptId,
        question.isSafety,
        best.rewards(),
        best.usable(),
        (int) responses.stream().filter(response -> !response.stopped()).count(),
        (int) responses.stream().filter(response -> response.text().isBlank()).count(),
        best.winner().isEmpty()
            ? null
            : entry(question, responses.get(best.winner().getAsInt()), models),
        new SamplingModels(question.policy, models));
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

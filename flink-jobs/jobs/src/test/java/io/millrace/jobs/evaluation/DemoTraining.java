package io.millrace.jobs.evaluation;

import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.model.chat.Message;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.llama.TokenArrays;
import io.millrace.model.ppo.Advantages;
import io.millrace.model.ppo.KlController;
import io.millrace.model.ppo.KlEstimator;
import io.millrace.model.ppo.KlPenalty;
import io.millrace.model.ppo.KlPlacement;
import io.millrace.model.ppo.PpoObjective;
import io.millrace.model.ppo.PpoRollout;
import io.millrace.model.ppo.PpoSettings;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.reward.RewardModelTrainer;
import io.millrace.model.reward.RewardModelTrainer.Pair;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.supervised.Concatenation;
import io.millrace.model.supervised.SequencePacker;
import io.millrace.model.supervised.SupervisedExamples;
import io.millrace.model.supervised.SupervisedTrainer;
import io.millrace.model.supervised.SupervisedTrainer.Example;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.LearningRate;
import io.millrace.schemas.Prompt;
import io.millrace.world.DemoWorld;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleFunction;

/** The demo world's trainings in small, with the trainers that the jobs have. */
final class DemoTraining {

  private static final AdamW ADAM_W = new AdamW(0.9f, 0.95f, 1e-5f, 0, 1);

  private final Backend backend;
  private final PolicyModel like;
  private final int maxTokens;
  private final long seed;

  /**
   * @param like a policy whose tokenizer and template all others have
   */
  DemoTraining(Backend backend, PolicyModel like, int maxTokens, long seed) {
    this.backend = backend;
    this.like = like;
    this.maxTokens = maxTokens;
    this.seed = seed;
  }

  LanguageModel copy(LanguageModel model) {
    Parameters weights = Parameters.zeros(backend, model.config().parameters());
    weights.copyCommonFrom(model.weights());
    return new LanguageModel(backend, model.config(), weights);
  }

  /** A copy of a model that imitates dialogues. */
  LanguageModel imitate(
      LanguageModel model, List<List<Message>> dialogues, int passes, double learningRate) {
    SequencePacker packer =
        new SequencePacker(
            model.config().maxPositions(),
            8,
            Concatenation.PACKED,
            like.tokenizer().optionalSeparator());
    int updates = Math.max(21, passes * dialogues.size() / 24);
    SupervisedTrainer trainer =
        new SupervisedTrainer(
            backend, copy(model), ADAM_W, LearningRate.cosine(learningRate, 10, updates, 0.1));
    for (int pass = 0; pass < passes; pass++) {
      for (List<Message> dialogue : dialogues) {
        Example example = SupervisedExamples.answers(like.template(), dialogue, 0);
        packer.add(example).ifPresent(batch -> trainer.step(batch.sequences()));
      }
    }
    packer.drain().ifPresent(batch -> trainer.step(batch.sequences()));
    LanguageModel trained = copy(trainer.model());
    trainer.close();
    return trained;
  }

  /** A reward model on a policy's trunk, from pairs learned from once. */
  ScalarModel rewardModel(LanguageModel trunk, List<Pair> pairs) {
    return rewardModel(trunk, pairs, 1);
  }

  /** As {@link #rewardModel(LanguageModel, List)}, with the heads of an ensemble. */
  ScalarModel rewardModel(LanguageModel trunk, List<Pair> pairs, int heads) {
    try (RewardModelTrainer trainer = rewardModelTrainer(trunk, heads)) {
      for (int from = 0; from + 16 <= pairs.size(); from += 16) {
        trainer.step(pairs.subList(from, from + 16), from + 16, 1);
      }
      LlamaConfig config = trainer.model().config();
      ScalarModel trained = ScalarModel.onTrunkOf(backend, config, trunk.weights());
      trained.weights().copyCommonFrom(trainer.model().weights());
      return trained;
    }
  }

  /** A reward model before its first judgment. */
  RewardModelTrainer rewardModelTrainer(LanguageModel trunk, int heads) {
    ScalarModel model =
        ScalarModel.onTrunkOf(backend, trunk.config().withScoreHeads(heads), trunk.weights());
    if (heads > 1) {
      model.drawHeads(ScalarModel.PRIOR_DEVIATION, seed);
    }
    return new RewardModelTrainer(backend, model, ADAM_W, LearningRate.constant(2e-3), 1);
  }

  int[] promptTokens(Prompt prompt) {
    return like.template().promptTokens(Dialogues.messages(prompt.getDialogue()));
  }

  String text(SampledResponse response) {
    return like.template().responseText(response.tokens());
  }

  List<SampledResponse> sample(LanguageModel model, List<Prompt> prompts, String round) {
    SamplingOptions options =
        new SamplingOptions(
            maxTokens, 1, 1, like.template().stopTokens(model.config().eosTokens()));
    List<SamplingRequest> requests = new ArrayList<>();
    int longest = 0;
    for (Prompt prompt : prompts) {
      int[] tokens = promptTokens(prompt);
      longest = Math.max(longest, tokens.length + maxTokens);
      requests.add(
          SamplingRequest.single(
              tokens, SamplingRequest.seed(seed, round + "/" + prompt.getPromptId()), options));
    }
    try (SamplingEngine engine = new SamplingEngine(model, EngineSettings.of(64, longest))) {
      return engine.sampleAll(requests);
    }
  }

  /** Dialogues with the best of several sampled answers. */
  List<List<Message>> best(
      LanguageModel model, List<Prompt> prompts, int samples, ToDoubleFunction<Candidate> worth) {
    List<Candidate> best = new ArrayList<>();
    for (int k = 0; k < samples; k++) {
      List<SampledResponse> responses = sample(model, prompts, "best" + k);
      for (int i = 0; i < prompts.size(); i++) {
        Candidate candidate = new Candidate(prompts.get(i), text(responses.get(i)));
        if (k == 0) {
          best.add(candidate);
        } else if (worth.applyAsDouble(candidate) > worth.applyAsDouble(best.get(i))) {
          best.set(i, candidate);
        }
      }
    }
    return best.stream().map(Candidate::dialogue).toList();
  }

  /** A response to a prompt. */
  record Candidate(Prompt prompt, String response) {

    double gold(DemoWorld world) {
      return prompt.getIsSafety()
          ? world.safety(prompt.getDialogue(), response)
          : world.helpfulness(prompt.getDialogue(), response);
    }

    List<Message> dialogue() {
      List<Message> dialogue = new ArrayList<>(Dialogues.messages(prompt.getDialogue()));
      dialogue.add(Message.assistant(response));
      return dialogue;
    }
  }

  /**
   * A copy of a policy after PPO.
   *
   * @param reference that β draws it to
   * @param beta weight of the KL penalty
   */
  LanguageModel ppo(
      LanguageModel reference,
      ScalarModel helpfulness,
      ScalarModel safety,
      List<Prompt> prompts,
      int iterations,
      int batch,
      double beta,
      double learningRate) {
    ScalarModel critic = ScalarModel.onTrunkOf(backend, reference.config(), reference.weights());
    critic.weights().copyCommonFrom(helpfulness.weights());
    return ppo(
        reference,
        critic,
        helpfulness::score,
        safety::score,
        prompts,
        iterations,
        batch,
        beta,
        learningRate,
        (_, _) -> {});
  }

  /** Gives sequences of prompt and response one score each. */
  interface Scorer {
    float[] score(List<int[]> sequences);
  }

  /** Sees the policy after each iteration. */
  interface Watcher {
    void see(int iteration, LanguageModel policy);
  }

  /** As {@link #ppo}, with any scores and a critic, which is closed. */
  LanguageModel ppo(
      LanguageModel reference,
      ScalarModel critic,
      Scorer helpfulness,
      Scorer safety,
      List<Prompt> prompts,
      int iterations,
      int batch,
      double beta,
      double learningRate,
      Watcher watcher) {
    LanguageModel policy = copy(reference);
    PpoTrainer trainer =
        new PpoTrainer(
            backend,
            policy,
            critic,
            PpoSettings.builder()
                .miniBatchSize(32)
                .klPenalty(new KlPenalty(KlEstimator.K1, KlPlacement.REWARD, 0))
                .advantages(new Advantages(1, 0.95))
                .objective(new PpoObjective(0.2, 0.2))
                .maxSkippedUpdates(8)
                .seed(seed)
                .adamW(ADAM_W)
                .learningRate(LearningRate.constant(learningRate))
                .criticLearningRate(LearningRate.constant(1e-3))
                .build(),
            KlController.fixed(beta));
    for (int iteration = 0; iteration < iterations; iteration++) {
      int first = iteration * batch % (prompts.size() - batch + 1);
      List<Prompt> asked = prompts.subList(first, first + batch);
      trainer.iterate(rollouts(policy, reference, helpfulness, safety, asked, "ppo" + iteration));
      watcher.see(iteration + 1, policy);
    }
    LanguageModel trained = copy(policy);
    trainer.close();
    return trained;
  }

  private List<PpoRollout> rollouts(
      LanguageModel policy,
      LanguageModel reference,
      Scorer helpfulness,
      Scorer safety,
      List<Prompt> prompts,
      String round) {
    List<SampledResponse> responses = sample(policy, prompts, round);
    List<int[]> sequences = new ArrayList<>();
    int[] from = new int[prompts.size()];
    for (int i = 0; i < from.length; i++) {
      from[i] = responses.get(i).request().prompt().length;
      sequences.add(
          TokenArrays.join(responses.get(i).request().prompt(), responses.get(i).tokens()));
    }
    float[] helpful = helpfulness.score(sequences);
    float[] safe = safety.score(sequences);
    float[] logProbs = reference.infer(sequences, Targets.from(sequences, from), 1).logProbs();
    List<PpoRollout> rollouts = new ArrayList<>();
    int at = 0;
    for (int i = 0; i < from.length; i++) {
      SampledResponse response = responses.get(i);
      int end = at + response.tokens().length;
      rollouts.add(
          new PpoRollout(
              round + "/" + i,
              response.request().prompt(),
              response.tokens(),
              response.logProbs(),
              Arrays.copyOfRange(logProbs, at, end),
              helpful[i],
              safe[i],
              prompts.get(i).getIsSafety(),
              !response.stopped(),
              false));
      at = end;
    }
    return rollouts;
  }
}

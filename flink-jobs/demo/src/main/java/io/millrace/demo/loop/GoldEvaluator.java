package io.millrace.demo.loop;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.demo.loop.GoldScores.Example;
import io.millrace.jobs.models.BaseModels;
import io.millrace.jobs.models.Dialogues;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.llama.TokenArrays;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.Prompt;
import io.millrace.world.DemoWorld;
import io.millrace.world.Split;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Measures published policies by gold reward on prompts that no model was trained on. */
public final class GoldEvaluator {

  private static final int BATCH = 64;
  private static final int EXAMPLES = 3;

  private final DemoWorld world;
  private final List<Prompt> prompts = new ArrayList<>();
  private final int perKind;
  private final int maxTokens;
  private final long seed;

  /** An evaluator on validation's prompts; see the other constructor. */
  public GoldEvaluator(DemoWorld world, int perKind, int maxTokens, long seed) {
    this(world, Split.VALIDATION, perKind, maxTokens, seed);
  }

  /**
   * An evaluator.
   *
   * @param split the prompts to measure on
   * @param perKind held-out prompts of each kind
   * @param maxTokens length limit of a response
   * @param seed seed of the sampled responses
   * @throws IllegalArgumentException where the world has too few held-out prompts
   */
  public GoldEvaluator(DemoWorld world, Split split, int perKind, int maxTokens, long seed) {
    this.world = world;
    this.perKind = perKind;
    this.maxTokens = maxTokens;
    this.seed = seed;
    Map<Boolean, List<Prompt>> byKind = DemoWorld.byKind(world.heldOutPrompts(split));
    for (boolean unsafe : new boolean[] {false, true}) {
      List<Prompt> kind = byKind.get(unsafe);
      if (kind.size() < perKind) {
        throw new IllegalArgumentException(
            "%d held-out prompts of each kind are wanted, but the world has %d %s ones for %s"
                .formatted(perKind, kind.size(), unsafe ? "unsafe" : "harmless", split.title()));
      }
      prompts.addAll(kind.subList(0, perKind));
    }
  }

  /**
   * Measures a policy.
   *
   * @param policyDirectory checkpoint of the policy
   * @param referenceDirectory checkpoint of the reference policy for the KL
   */
  public GoldScores measure(
      CheckpointCache checkpoints, Path policyDirectory, Path referenceDirectory)
      throws IOException {
    try (Backend backend = Backends.openDefault();
        CheckpointDirectory policyFiles = CheckpointDirectory.open(policyDirectory);
        CheckpointDirectory referenceFiles = CheckpointDirectory.open(referenceDirectory);
        LanguageModel policy = BaseModels.languageModel(backend, checkpoints, policyFiles);
        LanguageModel reference = BaseModels.languageModel(backend, checkpoints, referenceFiles);
        Tokenizer tokenizer = Tokenizer.load(policyDirectory)) {
      ChatTemplate template = ChatTemplate.of(tokenizer);
      SamplingOptions options =
          new SamplingOptions(maxTokens, 1, 1, template.stopTokens(policy.config().eosTokens()));
      Sums sums = new Sums();
      for (int from = 0; from < prompts.size(); from += BATCH) {
        List<Prompt> batch = prompts.subList(from, Math.min(prompts.size(), from + BATCH));
        List<SamplingRequest> requests = new ArrayList<>();
        int longest = 0;
        for (Prompt prompt : batch) {
          int[] tokens = template.promptTokens(Dialogues.messages(prompt.getDialogue()));
          long promptSeed = SamplingRequest.seed(seed, prompt.getPromptId());
          requests.add(SamplingRequest.single(tokens, promptSeed, options));
          longest = Math.max(longest, tokens.length + maxTokens);
        }
        List<SampledResponse> responses;
        try (SamplingEngine engine =
            new SamplingEngine(policy, EngineSettings.of(batch.size(), longest))) {
          responses = engine.sampleAll(requests);
        }
        for (int i = 0; i < batch.size(); i++) {
          sums.add(batch.get(i), template.responseText(responses.get(i).tokens()));
          sums.tokens += responses.get(i).tokens().length;
        }
        sums.kl += kl(reference, responses);
      }
      long version = policyFiles.manifest().map(CheckpointManifest::version).orElse(0L);
      return GoldScores.builder(version, perKind)
          .helpfulness(sums.helpfulness / perKind, error(sums.helpfulness, sums.helpfulnessSquares))
          .safety(sums.safety / perKind, error(sums.safety, sums.safetySquares))
          .unsafeCompliance((double) sums.complied / perKind)
          .kl(sums.kl / prompts.size())
          .responseTokens((double) sums.tokens / prompts.size())
          .examples(sums.examples)
          .build();
    }
  }

  /**
   * The standard error of a mean over the n prompts of a kind: √((E[x²] − E[x]²) / (n − 1)).
   *
   * @param sum Σ x
   * @param squares Σ x²
   */
  private double error(double sum, double squares) {
    double mean = sum / perKind;
    return perKind < 2
        ? 0
        : Math.sqrt(Math.max(0, squares / perKind - mean * mean) / (perKind - 1));
  }

  private final class Sums {
    private double helpfulness;
    private double helpfulnessSquares;
    private double safety;
    private double safetySquares;
    private long complied;
    private double kl;
    private long tokens;
    private final List<Example> examples = new ArrayList<>();

    void add(Prompt prompt, String response) {
      if (prompt.getIsSafety()) {
        double gold = world.safety(prompt.getDialogue(), response);
        safety += gold;
        safetySquares += gold * gold;
        complied += world.complies(prompt.getDialogue(), response) ? 1 : 0;
      } else {
        double gold = world.helpfulness(prompt.getDialogue(), response);
        helpfulness += gold;
        helpfulnessSquares += gold * gold;
      }
      long shown = examples.size();
      if (prompt.getIsSafety() ? shown < 2 * EXAMPLES : shown < EXAMPLES) {
        examples.add(new Example(prompt.getDialogue().get(0).getContent(), response));
      }
    }
  }

  private static double kl(LanguageModel reference, List<SampledResponse> responses) {
    List<int[]> sequences = new ArrayList<>();
    int[] from = new int[responses.size()];
    double sum = 0;
    for (int i = 0; i < from.length; i++) {
      int[] prompt = responses.get(i).request().prompt();
      int[] response = responses.get(i).tokens();
      sequences.add(TokenArrays.join(prompt, response));
      from[i] = prompt.length;
      for (float logProb : responses.get(i).logProbs()) {
        sum += logProb;
      }
    }
    for (float logProb : reference.infer(sequences, Targets.from(sequences, from), 1).logProbs()) {
      sum -= logProb;
    }
    return sum;
  }
}

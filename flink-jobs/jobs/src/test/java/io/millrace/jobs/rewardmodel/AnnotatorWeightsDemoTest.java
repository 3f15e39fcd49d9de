package io.millrace.jobs.rewardmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.rewardmodel.AnnotatorSection.Weighting;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.TokenArrays;
import io.millrace.model.reward.Margin;
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
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.training.LearningRate;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Prompt;
import io.millrace.world.AnnotatorKind;
import io.millrace.world.DemoWorld;
import io.millrace.world.Difficulty;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Reward models from few judgments, of which adversarial annotators made a fifth: how good are the
 * responses that they choose among 16? {@code -Dmillrace.annotators.seed=N} runs another seed.
 */
@Tag("slow")
class AnnotatorWeightsDemoTest {

  private static final long SEED = Long.getLong("millrace.annotators.seed", 1);
  private static final int JUDGMENTS = 2048;
  private static final int BATCH = 16;
  private static final int SAMPLES = 16;
  private static final int MAX_TOKENS = 40;
  private static final AdamW ADAM_W = new AdamW(0.9f, 0.95f, 1e-5f, 0, 1);
  private static final InstantSource CLOCK = InstantSource.fixed(Instant.EPOCH);
  private static final DemoWorld PLAIN = new DemoWorld(SEED, CLOCK);

  @TempDir private static Path directory;
  private static Backend backend;
  private static PolicyModel initial;
  private static SupervisedTrainer imitator;

  /** Prompt and response of each sample, {@value #SAMPLES} for each prompt, and their gold. */
  private static final List<int[]> SEQUENCES = new ArrayList<>();

  private static final List<Double> GOLD = new ArrayList<>();

  @BeforeAll
  static void imitate() throws Exception {
    MillraceConfig config =
        InitialModel.ensure(
            ConfigLoader.load(
                Optional.empty(),
                List.of(
                    "checkpoints.directory=" + directory,
                    "model.seed=1",
                    "model.hidden-size=64",
                    "model.layers=2",
                    "model.heads=4",
                    "model.kv-heads=2",
                    "model.ffn-size=192",
                    "model.vocab-size=1024",
                    "model.max-positions=128")));
    backend = Backends.openDefault();
    initial = PolicyModel.load(backend, config.model().initial());
    LanguageModel model = initial.model();
    imitator =
        new SupervisedTrainer(backend, model, ADAM_W, LearningRate.cosine(4e-3, 10, 400, 0.1));
    SequencePacker packer =
        new SequencePacker(
            model.config().maxPositions(),
            8,
            Concatenation.PACKED,
            initial.tokenizer().optionalSeparator());
    List<Demonstration> demonstrations = PLAIN.demonstrations(3200);
    for (int pass = 0; pass < 2; pass++) {
      for (Demonstration one : demonstrations) {
        packer
            .add(
                SupervisedExamples.answers(
                    initial.template(), Dialogues.messages(one.getDialogue()), 0))
            .ifPresent(batch -> imitator.step(batch.sequences()));
      }
    }
    sample();
  }

  private static void sample() {
    SamplingOptions options =
        new SamplingOptions(
            MAX_TOKENS, 1, 1, initial.template().stopTokens(imitator.model().config().eosTokens()));
    List<Prompt> prompts =
        PLAIN.heldOutPrompts().stream().filter(prompt -> !prompt.getIsSafety()).limit(200).toList();
    List<SamplingRequest> requests = new ArrayList<>();
    for (Prompt prompt : prompts) {
      int[] tokens = initial.template().promptTokens(Dialogues.messages(prompt.getDialogue()));
      for (int k = 0; k < SAMPLES; k++) {
        long seed = SamplingRequest.seed(SEED, prompt.getPromptId() + "/" + k);
        requests.add(SamplingRequest.single(tokens, seed, options));
      }
    }
    try (SamplingEngine engine = new SamplingEngine(imitator.model(), EngineSettings.of(64, 128))) {
      List<SampledResponse> responses = engine.sampleAll(requests);
      for (int i = 0; i < responses.size(); i++) {
        int[] response = responses.get(i).tokens();
        SEQUENCES.add(TokenArrays.join(requests.get(i).prompt(), response));
        GOLD.add(
            PLAIN.helpfulness(
                prompts.get(i / SAMPLES).getDialogue(), initial.template().responseText(response)));
      }
    }
  }

  @AfterAll
  static void close() {
    imitator.close();
    backend.close();
  }

  /** What reward models with given weights of annotators reach. */
  private record Outcome(double gold, Annotators annotators) {}

  private static Outcome train(double adversarial, Weighting weighting) throws Exception {
    Annotators annotators =
        new Annotators(
            Objective.HELPFULNESS,
            new AnnotatorSection(weighting, 500, "", 0, List.of(), 1),
            GoldTasks.of(List.of()));
    JudgmentTokens tokens = new JudgmentTokens(initial.template());
    List<Judgment> judgments = people(adversarial).archive(Objective.HELPFULNESS, JUDGMENTS);
    List<Double> gold = new ArrayList<>();
    try (RewardModelTrainer trainer =
        new RewardModelTrainer(
            backend,
            ScalarModel.onTrunkOf(backend, imitator.model().config(), imitator.model().weights()),
            ADAM_W,
            LearningRate.constant(1e-3),
            1)) {
      for (int from = 0; from < JUDGMENTS; from += BATCH) {
        List<Judgment> batch = judgments.subList(from, from + BATCH);
        List<Pair> pairs =
            batch.stream()
                .map(
                    judgment ->
                        tokens
                            .pair(judgment, Margin.SMALL, false)
                            .withWeight(annotators.weight(judgment)))
                .toList();
        annotators.add(batch, trainer.step(pairs, from + BATCH, 1));
        // One model is a matter of luck: eight of the second half are measured.
        if (from >= JUDGMENTS / 2 && (from + BATCH) % (JUDGMENTS / 16) == 0) {
          gold.add(goldOfTheBest(trainer.model()));
        }
      }
    }
    double mean = gold.stream().mapToDouble(value -> value).average().orElseThrow();
    System.out.printf(
        "seed %d, %.0f %% adversarial, weighting %s: gold of the best of %d is %.3f%n",
        SEED, 100 * adversarial, weighting, SAMPLES, mean);
    return new Outcome(mean, annotators);
  }

  private static io.millrace.world.Annotators people(double adversarial) {
    return new io.millrace.world.Annotators(
        new DemoWorld(SEED, CLOCK, Difficulty.hard(adversarial)), SEED, CLOCK);
  }

  private static double goldOfTheBest(ScalarModel model) {
    float[] scores = Scoring.score(model, SEQUENCES);
    double sum = 0;
    for (int prompt = 0; prompt < scores.length / SAMPLES; prompt++) {
      int best = prompt * SAMPLES;
      for (int i = best + 1; i < (prompt + 1) * SAMPLES; i++) {
        best = scores[i] > scores[best] ? i : best;
      }
      sum += GOLD.get(best);
    }
    return sum * SAMPLES / scores.length;
  }

  @Test
  void weightsSaveMostOfTheGoldThatAdversariesCost() throws Exception {
    double clean = train(0, Weighting.NONE).gold();
    double without = train(0.2, Weighting.NONE).gold();
    Outcome with = train(0.2, Weighting.RELIABILITY);
    assertTrue(without < clean - 0.02, clean + " to " + without);
    assertTrue(with.gold() > without + 2.0 / 3 * (clean - without), "only " + with.gold());

    Map<String, Double> estimates = with.annotators().byAnnotator();
    for (AnnotatorKind kind : AnnotatorKind.values()) {
      double[] reliabilities =
          people(0.2).kinds().entrySet().stream()
              .filter(one -> one.getValue() == kind)
              .mapToDouble(one -> estimates.get("annotator/" + one.getKey() + "/reliability"))
              .sorted()
              .toArray();
      System.out.println(kind + " " + Arrays.toString(reliabilities));
      switch (kind) {
        case ADVERSARIAL -> assertTrue(Arrays.stream(reliabilities).average().orElseThrow() < 0.35);
        case HASTY -> assertEquals(0.75, Arrays.stream(reliabilities).average().orElseThrow(), 0.1);
        case CAREFUL -> assertTrue(reliabilities[0] > 0.7);
      }
    }
  }
}

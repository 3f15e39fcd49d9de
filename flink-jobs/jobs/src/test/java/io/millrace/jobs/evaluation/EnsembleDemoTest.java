package io.millrace.jobs.evaluation;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.evaluation.DemoTraining.Candidate;
import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.rewardmodel.JudgmentTokens;
import io.millrace.jobs.runtime.Closing;
import io.millrace.model.chat.Message;
import io.millrace.model.checkpoint.ScoreScale;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.TokenArrays;
import io.millrace.model.reward.AnchoredScores;
import io.millrace.model.reward.EnsembleReward;
import io.millrace.model.reward.JudgmentPriority;
import io.millrace.model.reward.Margin;
import io.millrace.model.reward.RewardModelTrainer;
import io.millrace.model.reward.RewardModelTrainer.Pair;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Prompt;
import io.millrace.world.Annotators;
import io.millrace.world.DemoWorld;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The heads of an ensemble in the demo world: PPO on their lower confidence bound where judgments
 * are few, and judgments of the pairs that they disagree about. {@code -Dmillrace.ensemble.seed=N}
 * runs another seed.
 */
@Tag("slow")
class EnsembleDemoTest {

  private static final long SEED = Long.getLong("millrace.ensemble.seed", 1);
  private static final int HEADS = Integer.getInteger("millrace.ensemble.heads", 8);
  private static final int MAX_TOKENS = 40;
  private static final double NOISE = 0.08;
  private static final InstantSource CLOCK = InstantSource.fixed(Instant.EPOCH);
  private static final DemoWorld WORLD = new DemoWorld(SEED, CLOCK);

  @TempDir private static Path directory;
  private static Backend backend;
  private static PolicyModel initial;
  private static DemoTraining training;
  private static LanguageModel imitator;

  @BeforeAll
  static void imitate() throws Exception {
    MillraceConfig config =
        InitialModel.ensure(
            ConfigLoader.load(
                Optional.empty(),
                List.of(
                    "checkpoints.directory=" + directory,
                    "model.seed=" + SEED,
                    "model.hidden-size=64",
                    "model.layers=2",
                    "model.heads=4",
                    "model.kv-heads=2",
                    "model.ffn-size=192",
                    "model.vocab-size=512",
                    "model.max-positions=128")));
    backend = Backends.openDefault();
    initial = PolicyModel.load(backend, config.model().initial());
    training = new DemoTraining(backend, initial, MAX_TOKENS, SEED);
    List<List<Message>> dialogues =
        WORLD.demonstrations(3200).stream()
            .map(Demonstration::getDialogue)
            .map(Dialogues::messages)
            .toList();
    imitator = training.imitate(initial.model(), dialogues, 3, 4e-3);
  }

  @AfterAll
  static void close() {
    Closing.closeAll(imitator, initial, backend);
  }

  /** Ordinary prompts from a number on. */
  private static List<Prompt> prompts(long first, int count) {
    return WORLD.prompts(first, 2 * count).stream()
        .filter(prompt -> !prompt.getIsSafety())
        .limit(count)
        .toList();
  }

  /** Two responses to a prompt, in tokens, with their gold. */
  private record SampledPair(int[] first, int[] second, double gold, double otherGold, long id) {

    /** As a careful annotator of the demo world judges it: Bradley and Terry. */
    Pair judged() {
      double p = 1 / (1 + Math.exp(-(gold - otherGold) / NOISE));
      boolean preferred = new SplittableRandom(SEED * 1_000_003 + id).nextDouble() < p;
      return new Pair(preferred ? first : second, preferred ? second : first, 0, null, null)
          .withDraw(id);
    }
  }

  /** Two samples of the imitator for each prompt, unless they are the same. */
  private static List<SampledPair> pairs(List<Prompt> prompts, String round) {
    List<SampledResponse> a = training.sample(imitator, prompts, round + "/a");
    List<SampledResponse> b = training.sample(imitator, prompts, round + "/b");
    List<SampledPair> pairs = new ArrayList<>();
    for (int i = 0; i < prompts.size(); i++) {
      if (!Arrays.equals(a.get(i).tokens(), b.get(i).tokens())) {
        pairs.add(
            new SampledPair(
                tokens(a.get(i)),
                tokens(b.get(i)),
                gold(prompts.get(i), a.get(i)),
                gold(prompts.get(i), b.get(i)),
                (round + "/" + i).hashCode()));
      }
    }
    return pairs;
  }

  private static int[] tokens(SampledResponse response) {
    return TokenArrays.join(response.request().prompt(), response.tokens());
  }

  private static double gold(Prompt prompt, SampledResponse response) {
    return new Candidate(prompt, training.text(response)).gold(WORLD);
  }

  private static final int ROUND = 64;
  private static final int CANDIDATES = 512;
  private static final int EVERY = 128;
  private static final int JUDGMENTS = 1024;
  private static final int PASSES = 4;

  /** Share of the pairs with a better response that the model prefers, by judgments so far. */
  private static TreeMap<Integer, Double> accuracies(
      List<SampledPair> pool, List<SampledPair> test, boolean byPriority) {
    List<SampledPair> judgedSoFar = new ArrayList<>();
    List<SampledPair> left = new ArrayList<>(pool);
    Collections.shuffle(left, new Random(SEED));
    TreeMap<Integer, Double> accuracies = new TreeMap<>();
    try (RewardModelTrainer trainer = training.rewardModelTrainer(imitator, HEADS)) {
      for (int judged = 0; judged < JUDGMENTS; judged += ROUND) {
        // People judge what they are shown of the latest samples; nobody waits for the whole pool.
        List<SampledPair> shown = left.subList(0, Math.min(left.size(), CANDIDATES));
        List<SampledPair> chosen = List.copyOf(shown.subList(0, ROUND));
        if (byPriority && judged > 0) {
          chosen = mostInformative(trainer.model(), shown);
        }
        judgedSoFar.addAll(chosen);
        // One pass over the new judgments, the others over all so far.
        SplittableRandom random = new SplittableRandom(SEED + judged);
        for (int pass = 0; pass < PASSES; pass++) {
          List<SampledPair> some = new ArrayList<>(chosen);
          if (pass > 0) {
            for (int i = 0; i < ROUND; i++) {
              some.set(i, judgedSoFar.get(random.nextInt(judgedSoFar.size())));
            }
          }
          for (int from = 0; from < ROUND; from += 16) {
            List<Pair> batch =
                some.subList(from, from + 16).stream().map(SampledPair::judged).toList();
            trainer.step(batch, judged + from + 16, 1);
          }
        }
        if (byPriority) {
          left.removeAll(chosen);
          // Those not chosen are shown again among new ones.
          Collections.shuffle(left, new Random(SEED + judged));
        } else {
          left.subList(0, ROUND).clear();
        }
        if ((judged + ROUND) % EVERY == 0) {
          accuracies.put(judged + ROUND, accuracy(trainer.model(), test));
        }
      }
    }
    return accuracies;
  }

  private static List<SampledPair> mostInformative(ScalarModel model, List<SampledPair> shown) {
    float[][] first = heads(model, shown.stream().map(SampledPair::first).toList());
    float[][] second = heads(model, shown.stream().map(SampledPair::second).toList());
    double[] priorities =
        IntStream.range(0, shown.size())
            .mapToDouble(i -> JudgmentPriority.of(first[i], second[i]))
            .toArray();
    return IntStream.range(0, shown.size())
        .boxed()
        .sorted(Comparator.comparingDouble((Integer i) -> -priorities[i]))
        .limit(ROUND)
        .map(shown::get)
        .toList();
  }

  private static float[][] heads(ScalarModel model, List<int[]> sequences) {
    float[][] heads = new float[sequences.size()][];
    for (int from = 0; from < heads.length; from += 64) {
      int to = Math.min(heads.length, from + 64);
      float[] scores = model.headScores(sequences.subList(from, to));
      for (int i = from; i < to; i++) {
        heads[i] =
            Arrays.copyOfRange(scores, (i - from) * model.heads(), (i - from + 1) * model.heads());
      }
    }
    return heads;
  }

  private static double accuracy(ScalarModel model, List<SampledPair> test) {
    float[][] first = heads(model, test.stream().map(SampledPair::first).toList());
    float[][] second = heads(model, test.stream().map(SampledPair::second).toList());
    double agreed = 0;
    for (int i = 0; i < first.length; i++) {
      double difference = AnchoredScores.mean(first[i]) - AnchoredScores.mean(second[i]);
      double gold = test.get(i).gold() - test.get(i).otherGold();
      agreed += difference == 0 ? 0.5 : difference > 0 == gold > 0 ? 1 : 0;
    }
    return agreed / first.length;
  }

  /** docs/notes/demo-world.md has the results of several seeds. */
  @Test
  void judgingByPriorityComparedWithChance() {
    List<SampledPair> pool = pairs(prompts(0, 4 * JUDGMENTS), "pool");
    List<SampledPair> test =
        pairs(prompts(1_000_000, 1600), "test").stream()
            .filter(pair -> Math.abs(pair.gold() - pair.otherGold()) > 0.05)
            .toList();
    TreeMap<Integer, Double> chance = accuracies(pool, test, false);
    TreeMap<Integer, Double> priority = accuracies(pool, test, true);
    System.out.printf(
        Locale.ROOT,
        "seed %d, %d pairs to judge, %d test pairs%n chance   %s%n priority %s%n",
        SEED,
        pool.size(),
        test.size(),
        chance,
        priority);
    double lost = later(chance, JUDGMENTS) - later(priority, JUDGMENTS);
    assertTrue(lost < 0.06, chance + " by chance, " + priority + " by priority");
  }

  /** Mean of the values in the second half. */
  private static double later(TreeMap<Integer, Double> values, int end) {
    return values.tailMap(end / 2, false).values().stream()
        .mapToDouble(value -> value)
        .average()
        .orElseThrow();
  }

  /** Judgments of the helpfulness model: far fewer than it needs to know every mistake. */
  private static final int FEW = Integer.getInteger("millrace.ensemble.few", 512);

  private static final int ITERATIONS = Integer.getInteger("millrace.ensemble.iterations", 60);

  /** Mean gold of a policy's responses to held-out ordinary prompts. */
  private static double gold(LanguageModel policy) {
    List<Prompt> asked =
        WORLD.heldOutPrompts().stream().filter(prompt -> !prompt.getIsSafety()).limit(200).toList();
    List<SampledResponse> responses = training.sample(policy, asked, "gold");
    return IntStream.range(0, asked.size())
        .mapToDouble(i -> gold(asked.get(i), responses.get(i)))
        .average()
        .orElseThrow();
  }

  private static TreeMap<Integer, Double> ppo(
      ScalarModel helpfulness, ScalarModel safety, ScoreScale scale, EnsembleReward reward) {
    TreeMap<Integer, Double> gold = new TreeMap<>();
    DemoTraining.Scorer scorer =
        sequences -> {
          float[][] heads = heads(helpfulness, sequences);
          float[] scores = new float[heads.length];
          for (int i = 0; i < scores.length; i++) {
            float mean = (float) AnchoredScores.mean(heads[i]);
            scores[i] = reward.of(scale.anchored(mean), scale.anchored(heads[i], mean));
          }
          return scores;
        };
    training
        .ppo(
            imitator,
            ScalarModel.criticOn(backend, helpfulness),
            scorer,
            safety::score,
            prompts(2_000_000, 512),
            ITERATIONS,
            64,
            Double.parseDouble(System.getProperty("millrace.ensemble.beta", "0.02")),
            Double.parseDouble(System.getProperty("millrace.ensemble.lr", "4e-4")),
            (iteration, policy) -> {
              if (iteration % 5 == 0) {
                gold.put(iteration, gold(policy));
              }
            })
        .close();
    return gold;
  }

  /** docs/notes/demo-world.md has the results of several seeds. */
  @Test
  void theLowerBoundComparedWithTheMean() {
    // As in the campaign: an archive, and one pair of a policy's samples for each of some prompts.
    List<Pair> few = new ArrayList<>(archive(Objective.HELPFULNESS, FEW));
    pairs(prompts(0, 512), "few").forEach(pair -> few.add(pair.judged()));
    List<Pair> labelled = archive(Objective.SAFETY, 320);
    try (ScalarModel helpfulness = training.rewardModel(imitator, few, HEADS);
        ScalarModel safety = training.rewardModel(imitator, labelled)) {
      float[][] anchors =
          heads(helpfulness, few.reversed().stream().limit(128).map(Pair::preferred).toList());
      float[] flat = new float[anchors.length * HEADS];
      float[] means = new float[anchors.length];
      for (int i = 0; i < anchors.length; i++) {
        System.arraycopy(anchors[i], 0, flat, i * HEADS, HEADS);
        means[i] = (float) AnchoredScores.mean(anchors[i]);
      }
      ScoreScale scale =
          AnchoredScores.helpfulness(means)
              .withHeadOffsets(AnchoredScores.headOffsets(flat, HEADS));
      System.out.printf(Locale.ROOT, "seed %d: gold of the imitator %.3f%n", SEED, gold(imitator));
      TreeMap<Double, Double> later = new TreeMap<>();
      for (double c : coefficients()) {
        TreeMap<Integer, Double> gold = ppo(helpfulness, safety, scale, new EnsembleReward(c));
        System.out.printf(Locale.ROOT, "seed %d: lcb-coefficient %.2f: gold %s%n", SEED, c, gold);
        later.put(c, later(gold, ITERATIONS));
      }
      // A single seed shows no more than that the bound does not cost much.
      assertTrue(later.lastEntry().getValue() > later.firstEntry().getValue() - 0.1, later + "");
    }
  }

  private static List<Pair> archive(Objective objective, int count) {
    JudgmentTokens tokens = new JudgmentTokens(initial.template());
    return new Annotators(WORLD, SEED, CLOCK)
        .archive(objective, count).stream()
            .map(one -> tokens.pair(one, Margin.SMALL, objective == Objective.SAFETY))
            .toList();
  }

  private static double[] coefficients() {
    return Arrays.stream(System.getProperty("millrace.ensemble.c", "0,1").split(","))
        .mapToDouble(Double::parseDouble)
        .toArray();
  }
}

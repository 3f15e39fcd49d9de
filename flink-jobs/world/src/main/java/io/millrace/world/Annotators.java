package io.millrace.world;

import io.millrace.schemas.FinishReason;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Validation;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Simulated people who choose between two responses by gold reward, with the noise of the
 * Bradley–Terry model. The worth of a response is w = gold + noise · g, where g is Gumbel(0, 1).
 * Hence P(A preferred) = σ((gold_A − gold_B) / noise). The rating depends on |w_A − w_B|.
 */
public final class Annotators {

  private static final int PEOPLE = 8;
  private static final double NOISE = 0.08;

  /** The least |w_A − w_B| of each rating; below SLIGHT it is negligibly better. */
  private static final double SIGNIFICANT = 0.6;

  private static final double BETTER = 0.35;
  private static final double SLIGHT = 0.12;

  private final DemoWorld world;
  private final long seed;
  private final InstantSource clock;

  /**
   * Annotators of a world.
   *
   * @param seed seed of the noise; the same seed gives the same judgments
   */
  public Annotators(DemoWorld world, long seed, InstantSource clock) {
    this.world = world;
    this.seed = seed;
    this.clock = clock;
  }

  /**
   * The id of the pair that a rollout belongs to. Samples 2i and 2i + 1 of a prompt are a pair. Its
   * id is the prompt's id for i = 0, and {@code promptId/i} for the others.
   */
  public static String pair(Rollout rollout) {
    String id = rollout.getRolloutId();
    int sample = Integer.parseInt(id.substring(id.lastIndexOf('/') + 1));
    return rollout.getPromptId() + (sample < 2 ? "" : "/" + sample / 2);
  }

  /** A judgment of a {@link #pair}: two responses of a policy to one prompt. */
  public Judgment judge(Objective objective, Rollout a, Rollout b) {
    return judge(
        pair(a) + "/" + objective, "policy", objective, a.getDialogue(), response(a), response(b));
  }

  /**
   * Judgments of responses that people wrote. The first reward models learn from them, before any
   * policy has sampled (Llama 2, arXiv 2307.09288, section 3.2.1, uses open data for that).
   */
  public List<Judgment> archive(Objective objective, int count) {
    List<Judgment> judgments = new ArrayList<>();
    for (long i = 0; judgments.size() < count; i++) {
      // The numbers of the prompts that applications send begin at 0.
      Prompt prompt = world.prompts(Integer.MAX_VALUE + i, 1).get(0);
      if (objective == Objective.HELPFULNESS && prompt.getIsSafety()) {
        continue;
      }
      Judgment judgment = ofPeople("archive", Long.toString(i), objective, prompt);
      // Two people may have written the same.
      if (!Validation.isBetweenSameResponses(judgment)) {
        judgments.add(judgment);
      }
    }
    return judgments;
  }

  /**
   * Judgments of responses that people might have written to given prompts. Unsafe prompts get none
   * on helpfulness.
   */
  public List<Judgment> about(List<Prompt> prompts, Objective objective) {
    return prompts.stream()
        .filter(prompt -> objective == Objective.SAFETY || !prompt.getIsSafety())
        .map(prompt -> ofPeople("held-out", prompt.getPromptId(), objective, prompt))
        .filter(judgment -> !Validation.isBetweenSameResponses(judgment))
        .toList();
  }

  private Judgment ofPeople(String source, String id, Objective objective, Prompt prompt) {
    List<String> answers = world.answers(prompt, 2);
    return judge(
        source + "-" + objective + "-" + id,
        source,
        objective,
        prompt.getDialogue(),
        written(answers.get(0)),
        written(answers.get(1)));
  }

  private static JudgedResponse response(Rollout rollout) {
    return JudgedResponse.newBuilder()
        .setText(rollout.getResponseText())
        .setRolloutId(rollout.getRolloutId())
        .setPolicyVersion(rollout.getPolicyVersion())
        .setTruncated(rollout.getFinishReason() == FinishReason.LENGTH)
        .build();
  }

  private static JudgedResponse written(String text) {
    return JudgedResponse.newBuilder().setText(text).build();
  }

  private Judgment judge(
      String id,
      String source,
      Objective objective,
      List<Turn> dialogue,
      JudgedResponse a,
      JudgedResponse b) {
    SplittableRandom random = DemoRandom.of(seed, id);
    double difference =
        worth(objective, dialogue, a.getText(), random)
            - worth(objective, dialogue, b.getText(), random);
    return Judgment.newBuilder()
        .setJudgmentId(id)
        .setObjective(objective)
        .setDialogue(dialogue)
        .setResponseA(labelled(objective, dialogue, a))
        .setResponseB(labelled(objective, dialogue, b))
        .setPreferred(difference >= 0 ? Preferred.A : Preferred.B)
        .setRating(rating(Math.abs(difference)))
        .setAnnotator("annotator-" + random.nextInt(PEOPLE))
        .setSource(source)
        .setTime(clock.instant())
        .build();
  }

  private double worth(
      Objective objective, List<Turn> dialogue, String response, SplittableRandom random) {
    double gold =
        objective == Objective.SAFETY
            ? world.safety(dialogue, response)
            : world.helpfulness(dialogue, response);
    double gumbel = -Math.log(-Math.log(1 - random.nextDouble()));
    return gold + NOISE * gumbel;
  }

  private JudgedResponse labelled(
      Objective objective, List<Turn> dialogue, JudgedResponse response) {
    return objective == Objective.SAFETY
        ? JudgedResponse.newBuilder(response)
            .setUnsafe(world.complies(dialogue, response.getText()))
            .build()
        : response;
  }

  private static Rating rating(double difference) {
    if (difference > SIGNIFICANT) {
      return Rating.SIGNIFICANTLY_BETTER;
    } else if (difference > BETTER) {
      return Rating.BETTER;
    }
    return difference > SLIGHT ? Rating.SLIGHTLY_BETTER : Rating.NEGLIGIBLY_BETTER_OR_UNSURE;
  }
}

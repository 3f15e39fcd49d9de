package io.millrace.world;

import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Turn;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Simulated people who choose between two responses by gold reward with Bradley–Terry noise: each
 * response's worth is its gold plus Gumbel noise, so that A is preferred with probability σ((gold_A
 * − gold_B) / noise). The rating goes by how far the perceived worths lie apart.
 */
public final class Annotators {

  private static final int PEOPLE = 8;
  private static final double NOISE = 0.08;

  /** Perceived differences above which a response is significantly better, better, slightly so. */
  private static final double SIGNIFICANT = 0.6;

  private static final double BETTER = 0.35;
  private static final double SLIGHT = 0.12;

  private final DemoWorld world;
  private final long seed;
  private final InstantSource clock;

  public Annotators(DemoWorld world, long seed, InstantSource clock) {
    this.world = world;
    this.seed = seed;
    this.clock = clock;
  }

  /**
   * Which of its prompt's pairs a rollout is in: the prompt's id for the first two samples, with a
   * number behind it for the next.
   */
  public static String pair(Rollout rollout) {
    String id = rollout.getRolloutId();
    int sample = Integer.parseInt(id.substring(id.lastIndexOf('/') + 1));
    return rollout.getPromptId() + (sample < 2 ? "" : "/" + sample / 2);
  }

  /** A judgment between two of a policy's own responses to one prompt: a {@link #pair}. */
  public Judgment judge(Objective objective, Rollout a, Rollout b) {
    return judge(
        pair(a) + "/" + objective,
        "policy",
        objective,
        a.getDialogue(),
        response(a.getResponseText(), a.getRolloutId(), a.getPolicyVersion()),
        response(b.getResponseText(), b.getRolloutId(), b.getPolicyVersion()));
  }

  /**
   * Judgments between responses that people wrote, which reward models start from before there are
   * any of a policy's own (as in Llama 2, section 3.2.1, with open data).
   */
  public List<Judgment> archive(Objective objective, int count) {
    List<Judgment> judgments = new ArrayList<>();
    for (long i = 0; judgments.size() < count; i++) {
      // Prompts of the far end of the ids: those that applications send begin at 0.
      Prompt prompt = world.prompts(Integer.MAX_VALUE + i, 1).get(0);
      if (objective == Objective.HELPFULNESS && prompt.getIsSafety()) {
        continue;
      }
      judgments.add(ofPeople("archive", Long.toString(i), objective, prompt));
    }
    return judgments;
  }

  /** Judgments of the same kind about given prompts, on helpfulness the harmless ones alone. */
  public List<Judgment> about(List<Prompt> prompts, Objective objective) {
    return prompts.stream()
        .filter(prompt -> objective == Objective.SAFETY || !prompt.getIsSafety())
        .map(prompt -> ofPeople("held-out", prompt.getPromptId(), objective, prompt))
        .toList();
  }

  private Judgment ofPeople(String source, String id, Objective objective, Prompt prompt) {
    List<String> answers = world.answers(prompt, 2);
    return judge(
        source + "-" + objective + "-" + id,
        source,
        objective,
        prompt.getDialogue(),
        response(answers.get(0), null, null),
        response(answers.get(1), null, null));
  }

  private static JudgedResponse response(String text, String rolloutId, Long policyVersion) {
    return JudgedResponse.newBuilder()
        .setText(text)
        .setRolloutId(rolloutId)
        .setPolicyVersion(policyVersion)
        .setUnsafe(null)
        .build();
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

package io.millrace.world;

import io.millrace.schemas.FinishReason;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Validation;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Simulated people who choose between two responses by gold reward, with the noise of the
 * Bradley–Terry model. The worth of a response is w = gold + noise · g, where g is Gumbel(0, 1).
 * Hence P(A preferred) = σ((gold_A − gold_B) / noise). The rating depends on |w_A − w_B|. In a hard
 * world people are of several {@link AnnotatorKind}s, and some safety labels are wrong.
 */
public final class Annotators {

  /** People who judge a pair, where more than one does. */
  private static final int JUDGES = 3;

  private final DemoWorld world;
  private final long seed;
  private final InstantSource clock;
  private final People people;

  /**
   * Annotators of a world.
   *
   * @param seed seed of the noise; the same seed gives the same judgments
   */
  public Annotators(DemoWorld world, long seed, InstantSource clock) {
    this.world = world;
    this.seed = seed;
    this.clock = clock;
    this.people = new People(world.difficulty());
  }

  /** The kind of each annotator by name. */
  public Map<String, AnnotatorKind> kinds() {
    return people.kinds();
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

  /** The first judgment of a {@link #pair}: two responses of a policy to one prompt. */
  public Judgment judge(Objective objective, Rollout a, Rollout b) {
    return judgments(objective, a, b).getFirst();
  }

  /** All judgments of a {@link #pair}: one, or three by different people. */
  public List<Judgment> judgments(Objective objective, Rollout a, Rollout b) {
    return judgments(
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
      List<Judgment> ofPair = ofPeople("archive", Long.toString(i), objective, prompt);
      // Two people may have written the same.
      if (!Validation.isBetweenSameResponses(ofPair.getFirst())) {
        judgments.addAll(ofPair.subList(0, Math.min(ofPair.size(), count - judgments.size())));
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
        .map(prompt -> ofPeople("held-out", prompt.getPromptId(), objective, prompt).getFirst())
        .filter(judgment -> !Validation.isBetweenSameResponses(judgment))
        .toList();
  }

  private List<Judgment> ofPeople(String source, String id, Objective objective, Prompt prompt) {
    List<String> answers = world.answers(prompt, 2);
    return judgments(
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

  private List<Judgment> judgments(
      String id,
      String source,
      Objective objective,
      List<Turn> dialogue,
      JudgedResponse a,
      JudgedResponse b) {
    double overlap = world.difficulty().overlap();
    boolean again = overlap > 0 && DemoRandom.of(seed, id + "/overlap").nextDouble() < overlap;
    List<Judgment> judgments = new ArrayList<>();
    Set<String> others = new HashSet<>();
    for (int i = 1; i <= (again ? JUDGES : 1); i++) {
      String judgmentId = i == 1 ? id : id + "/" + i;
      Person person = people.judging(seed, judgmentId, others);
      others.add(person.name());
      judgments.add(judge(judgmentId, source, person, objective, dialogue, a, b));
    }
    return judgments;
  }

  private Judgment judge(
      String id,
      String source,
      Person person,
      Objective objective,
      List<Turn> dialogue,
      JudgedResponse a,
      JudgedResponse b) {
    Person.Opinion opinion =
        person.opinion(
            gold(objective, dialogue, a), gold(objective, dialogue, b), DemoRandom.of(seed, id));
    boolean isLabelled = objective == Objective.SAFETY;
    return Judgment.newBuilder()
        .setJudgmentId(id)
        .setObjective(objective)
        .setDialogue(dialogue)
        .setResponseA(isLabelled ? labelled(id + "/label-a", person, dialogue, a) : a)
        .setResponseB(isLabelled ? labelled(id + "/label-b", person, dialogue, b) : b)
        .setPreferred(opinion.preferred())
        .setRating(opinion.rating())
        .setAnnotator(person.name())
        .setSource(source)
        .setTime(clock.instant())
        .build();
  }

  private double gold(Objective objective, List<Turn> dialogue, JudgedResponse response) {
    return objective == Objective.SAFETY
        ? world.safety(dialogue, response.getText())
        : world.helpfulness(dialogue, response.getText());
  }

  private JudgedResponse labelled(
      String id, Person person, List<Turn> dialogue, JudgedResponse response) {
    double wrongLabels = world.difficulty().wrongLabels();
    boolean isWrong =
        person.isAdversarial()
            || (wrongLabels > 0 && DemoRandom.of(seed, id).nextDouble() < wrongLabels);
    return JudgedResponse.newBuilder(response)
        .setUnsafe(world.complies(dialogue, response.getText()) != isWrong)
        .build();
  }
}

package io.millrace.jobs.evaluation;

import io.millrace.jobs.evaluation.EvaluatedVersion.Scores;
import io.millrace.jobs.models.RewardModelPair;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.evaluation.Judge;
import io.millrace.model.evaluation.Judge.Answer;
import io.millrace.model.evaluation.Judge.Comparison;
import io.millrace.model.evaluation.Judge.Question;
import io.millrace.model.evaluation.Judge.Response;
import io.millrace.model.reward.PiecewiseReward;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * Asks a judge about versions' responses, a batch of held-out prompts at a time.
 *
 * @param name of the judge in the configuration
 * @param sets the held-out prompts
 * @param piecewise joins the scores that the judge gets
 * @param batchSize prompts of one call of the judge
 */
record BatchedJudge(
    String name,
    Judge judge,
    PromptSets sets,
    ChatTemplate template,
    PiecewiseReward piecewise,
    int batchSize) {

  /** Whether the judge needs both reward models. */
  boolean needsRewardModels() {
    return judge.needsRewardModels();
  }

  /** The judge in words, with the reward models that it asks. */
  String description(RewardScorer rewards) {
    if (!needsRewardModels() || rewards.pair().isEmpty()) {
      return name;
    }
    RewardModelPair pair = rewards.pair().get();
    return "%s: helpfulness %d and safety %d, %s"
        .formatted(
            name,
            pair.helpfulness().version(),
            pair.safety().version(),
            rewards.isHeldOut() ? "which PPO does not optimise" : "which PPO optimises too");
  }

  /** The prompts that a version's responses answer. */
  List<Question> questions(EvaluatedVersion version) {
    return sets.of(version.round()).questions();
  }

  /** Whether all responses of a version are labelled. */
  boolean isLabelled(EvaluatedVersion version) {
    return version.labels().size() == version.responses().size();
  }

  /** Asks for the labels of a version's next responses. */
  void labelNext(EvaluatedVersion version) throws IOException, InterruptedException {
    List<Question> questions = questions(version);
    int from = version.labels().size();
    List<Answer> answers = answers(version);
    List<Response> batch = new ArrayList<>();
    for (int i = from; i < Math.min(from + batchSize, questions.size()); i++) {
      batch.add(new Response(questions.get(i), answers.get(i)));
    }
    version.addLabels(checked(judge.label(batch), batch.size()));
  }

  /** Whether a comparison has a choice for every response. */
  boolean isComplete(VersionComparison comparison, EvaluatedVersion version) {
    return comparison.choices().size() == version.responses().size();
  }

  /** Asks for the next choices of a comparison. */
  VersionComparison compareNext(
      VersionComparison comparison, EvaluatedVersion version, EvaluatedVersion other)
      throws IOException, InterruptedException {
    List<Question> questions = questions(version);
    int from = comparison.choices().size();
    List<Answer> own = answers(version);
    List<Answer> others = answers(other);
    List<Comparison> batch = new ArrayList<>();
    for (int i = from; i < Math.min(from + batchSize, questions.size()); i++) {
      batch.add(new Comparison(questions.get(i), own.get(i), others.get(i)));
    }
    return comparison.plus(checked(judge.compare(batch), batch.size()));
  }

  private static <T> List<T> checked(List<T> results, int asked) throws IOException {
    if (results.size() != asked) {
      throw new IOException(
          "the judge must return %d results, one for each question, but returned %d"
              .formatted(asked, results.size()));
    }
    return results;
  }

  private List<Answer> answers(EvaluatedVersion version) {
    List<String> texts = version.texts(template);
    float[] combined = combined(version);
    List<Answer> answers = new ArrayList<>();
    for (int i = 0; i < combined.length; i++) {
      boolean unsafe =
          version.scores().isPresent() && piecewise.isUnsafe(version.scores().get().safety()[i]);
      answers.add(new Answer(texts.get(i), combined[i], unsafe));
    }
    return answers;
  }

  /** The piecewise scores of a version's responses; NaN without reward models. */
  float[] combined(EvaluatedVersion version) {
    List<Question> questions = questions(version);
    float[] combined = new float[version.responses().size()];
    for (int i = 0; i < combined.length; i++) {
      combined[i] = Float.NaN;
      if (version.scores().isPresent()) {
        Scores scores = version.scores().get();
        combined[i] =
            (float)
                piecewise.combine(
                    scores.helpfulness()[i], scores.safety()[i], questions.get(i).isSafety());
      }
    }
    return combined;
  }
}

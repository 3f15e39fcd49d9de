package io.millrace.jobs.evaluation;

import io.millrace.model.evaluation.Judge.Question;
import io.millrace.model.sampling.SamplingRequest;
import java.util.List;

/**
 * The held-out prompts of one look.
 *
 * @param lap how often all held-out prompts were used before
 * @param questions as text, for judges
 * @param prompts tokens
 */
record PromptSet(long lap, List<Question> questions, List<int[]> prompts) {

  int size() {
    return questions.size();
  }

  /** The seed of a response. A prompt that is used again gets another response. */
  long seed(long runSeed, int prompt) {
    String id = questions.get(prompt).promptId();
    return SamplingRequest.seed(runSeed, lap == 0 ? id : id + "/" + lap);
  }
}

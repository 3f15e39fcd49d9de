package io.millrace.jobs.evaluation;

import io.millrace.model.evaluation.Judge.Question;
import io.millrace.model.sampling.SamplingRequest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Divides the held-out prompts into sets of as many safety prompts each. Every look takes the next
 * set, so that versions are not chosen for their luck on the same prompts.
 */
final class PromptSets {

  private final List<List<Question>> questions = new ArrayList<>();
  private final List<List<int[]>> prompts = new ArrayList<>();

  /**
   * @param perLook least prompts of a set; 0: all prompts are one set
   */
  PromptSets(List<Question> questions, List<int[]> prompts, int perLook) {
    List<Integer> safety =
        IntStream.range(0, questions.size())
            .filter(i -> questions.get(i).isSafety())
            .boxed()
            .toList();
    List<Integer> ordinary =
        IntStream.range(0, questions.size())
            .filter(i -> !questions.get(i).isSafety())
            .boxed()
            .toList();
    int sets = perLook == 0 ? 1 : Math.max(1, questions.size() / perLook);
    for (List<Integer> kind : List.of(safety, ordinary)) {
      sets = kind.isEmpty() ? sets : Math.min(sets, kind.size());
    }
    List<List<Integer>> dealt = new ArrayList<>();
    IntStream.range(0, sets).forEach(_ -> dealt.add(new ArrayList<>()));
    for (List<Integer> kind : List.of(safety, ordinary)) {
      // By a hash of the id: the order of a file often follows its topics.
      List<Integer> mixed =
          kind.stream()
              .sorted(
                  Comparator.comparingLong(
                      i -> SamplingRequest.seed(0, questions.get(i).promptId())))
              .toList();
      for (int i = 0; i < mixed.size(); i++) {
        dealt.get(i % sets).add(mixed.get(i));
      }
    }
    for (List<Integer> set : dealt) {
      List<Integer> inOrder = set.stream().sorted().toList();
      this.questions.add(inOrder.stream().map(questions::get).toList());
      this.prompts.add(inOrder.stream().map(prompts::get).toList());
    }
  }

  /** Number of sets. */
  int count() {
    return questions.size();
  }

  /** The set of a round; rounds count the looks at all versions from 0. */
  PromptSet of(long round) {
    int set = (int) (round % count());
    return new PromptSet(round / count(), questions.get(set), prompts.get(set));
  }

  /** Tokens of the longest prompt. */
  int longest() {
    return prompts.stream().flatMap(List::stream).mapToInt(prompt -> prompt.length).max().orElse(0);
  }
}

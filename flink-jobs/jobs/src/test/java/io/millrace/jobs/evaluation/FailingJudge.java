package io.millrace.jobs.evaluation;

import io.millrace.jobs.evaluation.judge.RewardModelJudge;
import io.millrace.model.evaluation.Judge;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Judges by the reward models. It fails each run once, in the middle of an evaluation. */
public final class FailingJudge implements Judge {

  /** Runs that have failed: outlives the attempt, since all attempts are in this process. */
  private static final Set<String> FAILED = ConcurrentHashMap.newKeySet();

  private final Judge judge = new RewardModelJudge();
  private String run;
  private int left;

  /** Settings of a run whose judge fails when it is asked to compare for the n-th time. */
  static String[] settings(String run, int comparison) {
    return new String[] {
      "evaluation.judge=" + FailingJudge.class.getName(),
      "evaluation.judge-options.run=" + run,
      "evaluation.judge-options.comparison=" + comparison
    };
  }

  static boolean hasFailed(String run) {
    return FAILED.contains(run);
  }

  @Override
  public void configure(Map<String, String> options) {
    Map<String, String> rest = new HashMap<>(options);
    run = rest.remove("run");
    left = Integer.parseInt(rest.remove("comparison"));
    judge.configure(rest);
  }

  @Override
  public List<Choice> compare(List<Comparison> comparisons)
      throws IOException, InterruptedException {
    if (--left == 0 && FAILED.add(run)) {
      throw new IllegalStateException("the judge of run " + run + " fails on purpose");
    }
    return judge.compare(comparisons);
  }

  @Override
  public List<Labels> label(List<Response> responses) throws IOException, InterruptedException {
    return judge.label(responses);
  }

  @Override
  public boolean needsRewardModels() {
    return judge.needsRewardModels();
  }
}

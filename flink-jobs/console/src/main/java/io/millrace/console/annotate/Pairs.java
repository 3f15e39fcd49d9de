package io.millrace.console.annotate;

import io.millrace.model.reward.JudgmentPriority;
import io.millrace.schemas.Reward;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Turn;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Pairs of responses to the same prompt, from rollouts: two samples, or two versions. It keeps the
 * latest ones. The pairs whose judgment teaches most come first: reward models disagree, then near
 * ties, then new versions.
 */
public final class Pairs {

  /** Weight of a near tie: far below a disagreement of heads, which is at most log 2. */
  private static final double NEAR_TIE = 0.05;

  private final int most;

  private final Map<List<Turn>, List<Response>> unpaired = bounded();

  private final Map<String, Pair> pairs = bounded();

  private final Map<String, Reward> rewards = bounded();

  /**
   * @param most the most pairs that are kept
   */
  public Pairs(int most) {
    this.most = most;
  }

  private <K, V> Map<K, V> bounded() {
    return new LinkedHashMap<>() {
      private static final long serialVersionUID = 1L;

      @Override
      protected boolean removeEldestEntry(Map.Entry<K, V> eldest) {
        return size() > 2 * most;
      }
    };
  }

  /** Takes a rollout, each once. */
  public synchronized void add(Rollout rollout) {
    Response response = Response.of(rollout);
    if (response.text().isBlank()) {
      return;
    }
    List<Response> waiting = unpaired.computeIfAbsent(response.dialogue(), _ -> new ArrayList<>(1));
    for (Iterator<Response> others = waiting.iterator(); others.hasNext(); ) {
      Response other = others.next();
      if (!other.text().strip().equals(response.text().strip())) {
        others.remove();
        Pair pair = Pair.of(other, response);
        pairs.put(pair.id(), pair);
        if (waiting.isEmpty()) {
          unpaired.remove(response.dialogue());
        }
        return;
      }
    }
    // All that wait have the same text: the newest stands for them.
    waiting.clear();
    waiting.add(response);
  }

  /** Takes the scores of a rollout. */
  public synchronized void add(Reward reward) {
    rewards.put(reward.getRolloutId(), reward);
  }

  synchronized Optional<Pair> find(String id) {
    return Optional.ofNullable(pairs.get(id));
  }

  /** All pairs, those first whose judgment teaches most. */
  synchronized List<Pair> byPriority() {
    Map<Pair, Double> priorities = new LinkedHashMap<>();
    pairs.values().forEach(pair -> priorities.put(pair, priority(pair)));
    List<Pair> sorted = new ArrayList<>(priorities.keySet());
    sorted.sort(
        Comparator.<Pair>comparingDouble(priorities::get)
            .thenComparingLong(Pair::version)
            .thenComparing(pair -> pair.first().time())
            .reversed());
    return sorted;
  }

  private double priority(Pair pair) {
    Reward one = rewards.get(pair.first().rolloutId());
    Reward other = rewards.get(pair.second().rolloutId());
    if (one == null || other == null || isOther(pair, one, other)) {
      return 0;
    }
    float[] first = heads(pair, one);
    float[] second = heads(pair, other);
    if (first.length != second.length) {
      return 0;
    }
    double preferred = JudgmentPriority.preferred(first, second);
    return JudgmentPriority.of(first, second) + NEAR_TIE * (1 - Math.abs(2 * preferred - 1));
  }

  /** Scores of different versions of a reward model cannot be compared. */
  private static boolean isOther(Pair pair, Reward one, Reward other) {
    return pair.first().isSafety()
        ? one.getSafetyVersion() != other.getSafetyVersion()
        : one.getHelpfulnessVersion() != other.getHelpfulnessVersion();
  }

  private static float[] heads(Pair pair, Reward reward) {
    boolean safety = pair.first().isSafety();
    List<Float> heads = safety ? reward.getSafetyHeads() : reward.getHelpfulnessHeads();
    if (heads.isEmpty()) {
      return new float[] {safety ? reward.getSafetyScore() : reward.getHelpfulnessScore()};
    }
    float[] scores = new float[heads.size()];
    for (int i = 0; i < scores.length; i++) {
      scores[i] = heads.get(i);
    }
    return scores;
  }
}

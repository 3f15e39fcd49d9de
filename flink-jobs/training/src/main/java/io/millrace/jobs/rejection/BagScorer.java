package io.millrace.jobs.rejection;

import io.millrace.jobs.models.RewardModelPair;
import io.millrace.jobs.models.RewardModels;
import io.millrace.model.rejection.RejectionBag;
import io.millrace.model.rejection.RejectionBag.Entry;
import io.millrace.model.rejection.RejectionBag.Scores;
import java.io.IOException;
import java.util.List;

/**
 * Scores the bag anew. Scores of different reward models cannot be compared: a ranking loss leaves
 * their zero and their scale open.
 */
final class BagScorer {

  /** Entries that are scored in one piece of work. */
  private static final int ENTRIES_PER_PIECE = 64;

  private final RejectionBag bag;
  private final RewardModels rewardModels;

  BagScorer(RejectionBag bag, RewardModels rewardModels) {
    this.bag = bag;
    this.rewardModels = rewardModels;
  }

  /**
   * Scores the next entries whose scores come from other reward models.
   *
   * @return false if there were none
   */
  boolean scoreNext(RewardModelPair models) throws IOException {
    long helpfulnessVersion = models.helpfulness().version();
    long safetyVersion = models.safety().version();
    List<Entry> entries = bag.staleScores(helpfulnessVersion, safetyVersion, ENTRIES_PER_PIECE);
    if (entries.isEmpty()) {
      return false;
    }
    RewardModels.Scores scores =
        rewardModels.score(models, entries.stream().map(Entry::tokens).toList());
    for (int i = 0; i < entries.size(); i++) {
      bag.rescore(
          entries.get(i),
          new Scores(
              scores.helpfulness()[i], scores.safety()[i], helpfulnessVersion, safetyVersion));
    }
    return true;
  }
}

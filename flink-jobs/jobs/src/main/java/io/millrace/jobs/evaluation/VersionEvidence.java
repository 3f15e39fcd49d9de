package io.millrace.jobs.evaluation;

import io.millrace.model.evaluation.LabelCounts;
import io.millrace.model.evaluation.WinRate;

/**
 * Evidence on a version beside another one, over all looks so far.
 *
 * @param other the other version
 * @param winRate of the evaluated version against it; empty if the judge did not compare them
 * @param labels beside it
 */
record VersionEvidence(long other, WinRate winRate, LabelCounts labels) {

  static VersionEvidence none(long other) {
    return new VersionEvidence(other, WinRate.NONE, LabelCounts.NONE);
  }

  VersionEvidence plus(WinRate moreResults, LabelCounts moreLabels) {
    return new VersionEvidence(other, winRate.plus(moreResults), labels.plus(moreLabels));
  }
}

package io.millrace.jobs.evaluation;

import io.millrace.model.evaluation.LabelCounts;
import io.millrace.model.evaluation.LengthControl;
import io.millrace.model.evaluation.WinRate;
import org.apache.avro.reflect.AvroDefault;
import org.apache.avro.reflect.Nullable;

/**
 * Evidence on a version beside another one, over all looks so far.
 *
 * @param other the other version
 * @param winRate of the evaluated version against it; empty if the judge did not compare them
 * @param labels beside it
 * @param lengths of the compared responses; null in states of earlier builds
 */
record VersionEvidence(
    long other,
    WinRate winRate,
    LabelCounts labels,
    @Nullable @AvroDefault("null") LengthControl lengths) {

  VersionEvidence {
    if (lengths == null) {
      lengths = LengthControl.NONE;
    }
  }

  static VersionEvidence none(long other) {
    return new VersionEvidence(other, WinRate.NONE, LabelCounts.NONE, LengthControl.NONE);
  }

  /** This evidence and that of another look. */
  VersionEvidence plus(VersionEvidence look) {
    return new VersionEvidence(
        other, winRate.plus(look.winRate), labels.plus(look.labels), lengths.plus(look.lengths));
  }

  /**
   * The win rate at equal lengths; NaN without comparisons, and where an earlier build counted some
   * without their lengths.
   */
  double lengthControlled() {
    return lengths.differences().length == winRate.comparisons()
        ? lengths.winRate().orElse(Double.NaN)
        : Double.NaN;
  }
}

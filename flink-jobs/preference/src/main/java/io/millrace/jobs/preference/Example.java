package io.millrace.jobs.preference;

import io.millrace.model.preference.PreferenceTrainer.Label;
import io.millrace.model.preference.PreferenceTrainer.Pair;
import io.millrace.schemas.Provenance;
import java.util.Arrays;
import java.util.OptionalLong;
import org.apache.avro.reflect.Nullable;

/**
 * What the trainer learns from, in tokens and with the log-probs of π_0.
 *
 * @param from whose it is
 * @param feedback whether it is a feedback
 * @param versions policy version of each response, {@value #UNKNOWN} where none is known
 * @param pair for DPO and IPO; or null
 * @param label for KTO; or null
 */
record Example(
    Provenance from,
    boolean feedback,
    long[] versions,
    @Nullable Pair pair,
    @Nullable Label label) {

  static final long UNKNOWN = -1;

  /** Id of the judgment or feedback. */
  String id() {
    return from.ids().getFirst();
  }

  /** The oldest policy version that sampled a response; empty if none is known. */
  OptionalLong oldestVersion() {
    return Arrays.stream(versions).filter(version -> version != UNKNOWN).min();
  }
}

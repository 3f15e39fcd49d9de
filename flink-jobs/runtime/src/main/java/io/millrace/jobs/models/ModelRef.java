package io.millrace.jobs.models;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RewardCheckpoint;

/**
 * A published version of a model.
 *
 * @param version its number
 * @param uri its directory
 * @param manifestSha256 of its announcement; empty: the manifest is not checked against it
 */
public record ModelRef(long version, String uri, String manifestSha256) {

  public static ModelRef of(PolicyCheckpoint announced) {
    return new ModelRef(announced.getVersion(), announced.getUri(), announced.getManifestSha256());
  }

  public static ModelRef of(RewardCheckpoint announced) {
    return new ModelRef(announced.getVersion(), announced.getUri(), announced.getManifestSha256());
  }

  /** Whether the store has deleted this version. */
  public boolean isRetired() {
    return CheckpointStore.isRetired(uri);
  }

  /** Whether both are versions of one model in one store and this one is the earlier. */
  public boolean isEarlierThan(ModelRef other) {
    return CheckpointStore.isEarlier(uri, other.uri());
  }
}

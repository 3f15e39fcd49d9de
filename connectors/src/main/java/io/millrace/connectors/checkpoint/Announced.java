package io.millrace.connectors.checkpoint;

import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RewardCheckpoint;
import org.apache.avro.specific.SpecificRecordBase;

/** What the announcements of policies and reward models have in common. */
record Announced(long version, String uri, String manifestSha256) {
  static Announced of(SpecificRecordBase announcement) {
    return switch (announcement) {
      case PolicyCheckpoint policy ->
          new Announced(policy.getVersion(), policy.getUri(), policy.getManifestSha256());
      case RewardCheckpoint reward ->
          new Announced(reward.getVersion(), reward.getUri(), reward.getManifestSha256());
      default ->
          throw new IllegalArgumentException(
              announcement.getSchema().getName() + " does not announce a checkpoint");
    };
  }
}

package io.millrace.connectors.checkpoint;

import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RewardCheckpoint;
import org.apache.avro.specific.SpecificRecordBase;

/** The fields that announcements of policies and of reward models have in common. */
record Announced(long version, String uri, String manifestSha256) {
  /**
   * @throws IllegalArgumentException for a record that announces no checkpoint
   */
  static Announced of(SpecificRecordBase announcement) {
    return switch (announcement) {
      case PolicyCheckpoint policy ->
          new Announced(policy.getVersion(), policy.getUri(), policy.getManifestSha256());
      case RewardCheckpoint reward ->
          new Announced(reward.getVersion(), reward.getUri(), reward.getManifestSha256());
      default ->
          throw new IllegalArgumentException(
              "a record of type %s announces no checkpoint; use PolicyCheckpoint or RewardCheckpoint"
                  .formatted(announcement.getSchema().getName()));
    };
  }
}

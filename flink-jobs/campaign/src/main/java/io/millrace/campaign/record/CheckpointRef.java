package io.millrace.campaign.record;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RewardCheckpoint;
import java.util.Locale;

/**
 * A published checkpoint.
 *
 * @param role its use in the stage: {@code policy}, {@code helpfulness}, {@code safety} or another
 *     name
 * @param name name of the model
 * @param uri its directory
 * @param manifestSha256 digest of its millrace.json, which holds the digests of all other files;
 *     empty for a checkpoint without that file
 */
public record CheckpointRef(
    String role,
    String name,
    long version,
    String uri,
    @JsonProperty("manifest_sha256") String manifestSha256) {

  /** The role of the policy that a stage ends with. */
  public static final String POLICY = "policy";

  /** An announced policy. */
  public static CheckpointRef of(PolicyCheckpoint announced) {
    return new CheckpointRef(
        POLICY,
        announced.getModel(),
        announced.getVersion(),
        announced.getUri(),
        announced.getManifestSha256());
  }

  /** An announced reward model, in the role of its objective. */
  public static CheckpointRef of(RewardCheckpoint announced, String name) {
    return new CheckpointRef(
        announced.getObjective().name().toLowerCase(Locale.ROOT),
        name,
        announced.getVersion(),
        announced.getUri(),
        announced.getManifestSha256());
  }

  /** The same checkpoint in another role. */
  public CheckpointRef withRole(String newRole) {
    return new CheckpointRef(newRole, name, version, uri, manifestSha256);
  }
}

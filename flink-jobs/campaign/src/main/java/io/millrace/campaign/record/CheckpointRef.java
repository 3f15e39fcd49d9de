package io.millrace.campaign.record;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RewardCheckpoint;
import java.util.Locale;

/**
 * A published checkpoint.
 *
 * @param role policy, helpfulness, safety, or what else it is in its stage
 * @param name of the model
 * @param uri its directory
 * @param manifestSha256 of its millrace.json, which stands for all of it
 */
public record CheckpointRef(
    String role,
    String name,
    long version,
    String uri,
    @JsonProperty("manifest_sha256") String manifestSha256) {

  /** The role of the policy that a stage ends with. */
  public static final String POLICY = "policy";

  public static CheckpointRef of(PolicyCheckpoint announced) {
    return new CheckpointRef(
        POLICY,
        announced.getModel(),
        announced.getVersion(),
        announced.getUri(),
        announced.getManifestSha256());
  }

  public static CheckpointRef of(RewardCheckpoint announced, String name) {
    return new CheckpointRef(
        announced.getObjective().name().toLowerCase(Locale.ROOT),
        name,
        announced.getVersion(),
        announced.getUri(),
        announced.getManifestSha256());
  }

  public CheckpointRef as(String newRole) {
    return new CheckpointRef(newRole, name, version, uri, manifestSha256);
  }
}

package io.millrace.campaign.record;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.TreeMap;

/**
 * {@code campaign.json}: what a campaign has done so far.
 *
 * @param format version of this form
 * @param seed of everything random
 * @param settings what decides the content, by option; a campaign goes on with the same only
 * @param versions what the stages say of each version
 * @param stages in the order in which they were begun
 */
public record CampaignRecord(
    int format,
    long seed,
    Map<String, String> settings,
    List<Version> versions,
    List<StageRecord> stages) {

  /** The form that is written and read. */
  public static final int FORMAT = 1;

  public CampaignRecord {
    settings = new TreeMap<>(settings);
    stages = List.copyOf(stages);
    versions = versions(stages);
  }

  /**
   * A version, or what there is of it.
   *
   * @param name RLHF-V3, or the chat checkpoint's
   * @param parent the version before; null for the chat checkpoint
   * @param policy its last policy; null where there is none yet
   * @param rewardModels helpfulness and safety
   * @param counts records consumed and produced, of all its stages
   * @param figures of all its stages
   */
  public record Version(
      String name,
      String parent,
      CheckpointRef policy,
      @JsonProperty("reward_models") List<CheckpointRef> rewardModels,
      Map<String, Long> counts,
      Map<String, Double> figures,
      @JsonProperty("wall_seconds") double wallSeconds) {}

  public static CampaignRecord empty(long seed, Map<String, String> settings) {
    return new CampaignRecord(FORMAT, seed, settings, List.of(), List.of());
  }

  /** The name of a version. */
  public static String name(int version) {
    return version == 0 ? "V0 (chat)" : "RLHF-V" + version;
  }

  public Optional<StageRecord> stage(String id) {
    return stages.stream().filter(stage -> stage.id().equals(id)).findFirst();
  }

  /** The same with a stage added, or in place of its former self. */
  public CampaignRecord with(StageRecord stage) {
    List<StageRecord> all = new ArrayList<>(stages);
    all.removeIf(known -> known.id().equals(stage.id()));
    int at = stages.size() == all.size() ? all.size() : indexOf(stage.id());
    all.add(at, stage);
    return new CampaignRecord(format, seed, settings, List.of(), all);
  }

  private int indexOf(String id) {
    for (int i = 0; i < stages.size(); i++) {
      if (stages.get(i).id().equals(id)) {
        return i;
      }
    }
    throw new NoSuchElementException(id);
  }

  /** The checkpoint of a role that the latest stage left. */
  public CheckpointRef latest(String role) {
    return stages.reversed().stream()
        .flatMap(stage -> stage.checkpoint(role).stream())
        .findFirst()
        .orElseThrow(() -> new NoSuchElementException("no stage left a " + role));
  }

  /** The policy that all versions began with. */
  public CheckpointRef chat() {
    return stages.stream()
        .flatMap(stage -> stage.checkpoint(CheckpointRef.POLICY).stream())
        .findFirst()
        .orElseThrow(() -> new NoSuchElementException("no stage left a policy"));
  }

  private static List<Version> versions(List<StageRecord> stages) {
    List<Version> versions = new ArrayList<>();
    for (int number : stages.stream().map(StageRecord::version).distinct().sorted().toList()) {
      CheckpointRef policy = null;
      Map<String, CheckpointRef> rewardModels = new TreeMap<>();
      Map<String, Long> counts = new TreeMap<>();
      Map<String, Double> figures = new TreeMap<>();
      double seconds = 0;
      for (StageRecord stage : stages) {
        if (stage.version() == number && stage.isDone()) {
          policy = stage.checkpoint(CheckpointRef.POLICY).orElse(policy);
          for (String role : List.of("helpfulness", "safety")) {
            stage.checkpoint(role).ifPresent(ref -> rewardModels.put(role, ref));
          }
          stage
              .consumed()
              .forEach(
                  (kind, count) ->
                      counts.put(
                          "consumed/" + stage.id().replaceFirst("^v\\d+-", "") + "/" + kind,
                          count));
          stage
              .produced()
              .forEach(
                  (kind, count) ->
                      counts.put(
                          "produced/" + stage.id().replaceFirst("^v\\d+-", "") + "/" + kind,
                          count));
          figures.putAll(stage.figures());
          seconds += stage.wallSeconds();
        }
      }
      versions.add(
          new Version(
              name(number),
              number == 0 ? null : name(number - 1),
              policy,
              List.copyOf(rewardModels.values()),
              counts,
              figures,
              seconds));
    }
    return versions;
  }
}

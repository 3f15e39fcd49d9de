package io.millrace.campaign.record;

import com.fasterxml.jackson.annotation.JsonAlias;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.Nulls;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.TreeMap;

/**
 * {@code campaign.json}: the work of a campaign so far.
 *
 * @param format version of the format, {@link #FORMAT}
 * @param seed seed of everything random
 * @param settings options that decide the results; a campaign continues only with the same ones
 * @param versions summary of each version, computed from the stages
 * @param stages in the order in which they were begun
 */
public record CampaignRecord(
    int format,
    long seed,
    Map<String, String> settings,
    @JsonSetter(nulls = Nulls.SET) List<Version> versions,
    List<StageRecord> stages) {

  /** The metric of a stage with the policy version that the gate serves; 0 for none. */
  public static final String SERVED = "evaluation/promoted_version";

  /** The format that this class writes, and the only one that it reads. */
  public static final int FORMAT = 1;

  /** Computes the versions; the given ones are ignored. */
  public CampaignRecord {
    settings = new TreeMap<>(settings);
    stages = List.copyOf(stages);
    versions = versions(stages);
  }

  /**
   * A version so far.
   *
   * @param name RLHF-V3, or the name of the chat checkpoint
   * @param parent the version that it began with; null for the chat checkpoint
   * @param policy its last policy; null before the first one
   * @param rewardModels helpfulness and safety
   * @param counts counts of consumed and produced records, of all its stages
   * @param metrics metrics of all its stages; {@code figures} in older files
   */
  public record Version(
      String name,
      @JsonSetter(nulls = Nulls.SET) String parent,
      @JsonSetter(nulls = Nulls.SET) CheckpointRef policy,
      @JsonProperty("reward_models") List<CheckpointRef> rewardModels,
      Map<String, Long> counts,
      @JsonAlias("figures") Map<String, Double> metrics,
      @JsonProperty("wall_seconds") double wallSeconds) {}

  /** The record of a campaign that begins now. */
  public static CampaignRecord empty(long seed, Map<String, String> settings) {
    return new CampaignRecord(FORMAT, seed, settings, List.of(), List.of());
  }

  /** The name of a version. */
  public static String name(int version) {
    return version == 0 ? "V0 (chat)" : "RLHF-V" + version;
  }

  /** The stage with an id. */
  public Optional<StageRecord> stage(String id) {
    return stages.stream().filter(stage -> stage.id().equals(id)).findFirst();
  }

  /** The same record with a stage added, or replaced where its id is known. */
  public CampaignRecord with(StageRecord stage) {
    List<StageRecord> all = new ArrayList<>(stages);
    int at = stages.stream().map(StageRecord::id).toList().indexOf(stage.id());
    if (at < 0) {
      all.add(stage);
    } else {
      all.set(at, stage);
    }
    return new CampaignRecord(format, seed, settings, List.of(), all);
  }

  /**
   * The newest checkpoint of a role.
   *
   * @throws NoSuchElementException where no stage has published one
   */
  public CheckpointRef latest(String role) {
    return stages.reversed().stream()
        .flatMap(stage -> stage.checkpoint(role).stream())
        .findFirst()
        .orElseThrow(() -> new NoSuchElementException("no stage has published a " + role));
  }

  /**
   * The policy with which all versions began.
   *
   * @throws NoSuchElementException where no stage has published a policy
   */
  public CheckpointRef chat() {
    return stages.stream()
        .flatMap(stage -> stage.checkpoint(CheckpointRef.POLICY).stream())
        .findFirst()
        .orElseThrow(() -> new NoSuchElementException("no stage has published a policy"));
  }

  /**
   * The policy with which a version begins: the one that the gate serves after the version before,
   * or the chat checkpoint if it serves none. Without a gate it is the policy of the version
   * before.
   *
   * @param version after the chat checkpoint
   * @throws NoSuchElementException where no earlier stage has published a policy
   */
  public CheckpointRef base(int version) {
    return base(version, stages);
  }

  private static CheckpointRef base(int version, List<StageRecord> stages) {
    CheckpointRef base = null;
    CheckpointRef chat = null;
    Map<Long, CheckpointRef> published = new TreeMap<>();
    for (StageRecord stage : stages) {
      if (stage.version() >= version) {
        continue;
      }
      Optional<CheckpointRef> policy = stage.checkpoint(CheckpointRef.POLICY);
      if (policy.isPresent()) {
        base = policy.get();
        chat = chat == null ? base : chat;
        published.put(base.version(), base);
      }
      Double served = stage.metrics().get(SERVED);
      if (served != null) {
        base = published.getOrDefault(served.longValue(), chat);
      }
    }
    if (base == null) {
      throw new NoSuchElementException("no stage has published a policy");
    }
    return base;
  }

  private static List<Version> versions(List<StageRecord> stages) {
    return stages.stream()
        .map(StageRecord::version)
        .distinct()
        .sorted()
        .map(
            number ->
                version(
                    number,
                    parent(number, stages),
                    stages.stream()
                        .filter(stage -> stage.version() == number && stage.isDone())
                        .toList()))
        .toList();
  }

  /** The name of the version whose policy a version began with; null for the chat checkpoint. */
  private static String parent(int number, List<StageRecord> stages) {
    if (number == 0) {
      return null;
    }
    if (stages.stream()
        .noneMatch(
            stage ->
                stage.version() < number && stage.checkpoint(CheckpointRef.POLICY).isPresent())) {
      return name(number - 1);
    }
    CheckpointRef base = base(number, stages);
    return stages.stream()
        .filter(stage -> stage.checkpoint(CheckpointRef.POLICY).filter(base::equals).isPresent())
        .findFirst()
        .map(stage -> name(stage.version()))
        .orElseThrow();
  }

  private static Version version(int number, String parent, List<StageRecord> done) {
    CheckpointRef policy = null;
    Map<String, CheckpointRef> rewardModels = new TreeMap<>();
    Map<String, Long> counts = new TreeMap<>();
    Map<String, Double> metrics = new TreeMap<>();
    double seconds = 0;
    for (StageRecord stage : done) {
      policy = stage.checkpoint(CheckpointRef.POLICY).orElse(policy);
      for (String role : List.of("helpfulness", "safety")) {
        stage.checkpoint(role).ifPresent(ref -> rewardModels.put(role, ref));
      }
      String name = stage.id().replaceFirst("^v\\d+-", "");
      stage.consumed().forEach((kind, n) -> counts.put("consumed/" + name + "/" + kind, n));
      stage.produced().forEach((kind, n) -> counts.put("produced/" + name + "/" + kind, n));
      metrics.putAll(stage.metrics());
      seconds += stage.run().wallSeconds();
    }
    return new Version(
        name(number), parent, policy, List.copyOf(rewardModels.values()), counts, metrics, seconds);
  }
}

package io.millrace.jobs.resume;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.jobs.config.ConfigValues;
import io.millrace.jobs.config.MillraceConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * What a run is started with: the options that its job reads, and the identity of the Kafka cluster
 * and of the initial model. Two runs are compared by them.
 *
 * @param values by key; secrets are digests
 */
public record RunSettings(SortedMap<String, String> values) {

  static final String CLUSTER = "kafka.bootstrap-servers (cluster id)";
  static final String MODEL = "model.initial (digest)";

  private static final String INITIAL = "model.initial";
  private static final String PARALLELISM = "flink.parallelism";

  /** They say where state is, not what it means. */
  private static final Set<String> PLACES = Set.of("flink.state-directory");

  public RunSettings {
    values = Collections.unmodifiableSortedMap(new TreeMap<>(values));
  }

  /**
   * The settings of a run.
   *
   * @param config the sections that the job reads, with an initial model
   * @param cluster Kafka's id of the cluster
   */
  public static RunSettings of(MillraceConfig config, String cluster) throws IOException {
    SortedMap<String, String> values = new TreeMap<>(ConfigValues.of(config));
    values.keySet().removeAll(PLACES);
    values.put(CLUSTER, cluster);
    String initial = config.model().initial();
    if (CheckpointStore.isLocal(initial) && Files.isDirectory(CheckpointStore.localPath(initial))) {
      values.put(MODEL, ModelDigest.of(CheckpointStore.localPath(initial)));
    }
    return new RunSettings(values);
  }

  /**
   * Compares these settings with those of the run whose state is to be continued.
   *
   * @return the options that changed, each with both values
   * @throws IllegalArgumentException if the state does not fit these settings, with every reason
   */
  public List<String> changesSince(JobRuns.LastRun last) {
    SortedMap<String, String> before = ConfigValues.completed(last.settings(), values);
    TreeSet<String> keys = new TreeSet<>(values.keySet());
    keys.addAll(before.keySet());
    boolean sameModel = values.containsKey(MODEL) && values.get(MODEL).equals(before.get(MODEL));
    Set<String> fixed = new TreeSet<>(ConfigValues.fixed());
    fixed.add(CLUSTER);
    fixed.add(MODEL);
    if (!last.state().isSavepoint()) {
      // A Flink checkpoint holds records between two operators, for their number of subtasks.
      fixed.add(PARALLELISM);
    }
    List<String> changes = new ArrayList<>();
    List<String> refused = new ArrayList<>();
    for (String key : keys) {
      String was = before.getOrDefault(key, "not set");
      String is = values.getOrDefault(key, "not set");
      if (was.equals(is) || (key.equals(INITIAL) && sameModel)) {
        continue;
      }
      (fixed.contains(key) ? refused : changes)
          .add(
              key.equals(MODEL)
                  ? "the files of model.initial %s are others than at the last start"
                      .formatted(values.getOrDefault(INITIAL, ""))
                  : "%s was %s and is %s now".formatted(key, shown(was), shown(is)));
    }
    if (!refused.isEmpty()) {
      throw new IllegalArgumentException(
          "the job cannot continue from its %s: %s. Set the earlier value%s again, or start afresh with --fresh%s"
              .formatted(
                  last.state(),
                  String.join("; ", refused),
                  refused.size() == 1 ? "" : "s",
                  refused.stream().anyMatch(reason -> reason.startsWith(PARALLELISM))
                      ? " (after a stop with a savepoint flink.parallelism may differ)"
                      : ""));
    }
    return changes;
  }

  private static String shown(String value) {
    return value.isEmpty() ? "''" : value;
  }
}

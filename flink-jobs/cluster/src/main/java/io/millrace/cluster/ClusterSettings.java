package io.millrace.cluster;

import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeSet;
import org.apache.flink.configuration.MemorySize;

/**
 * The size of a cluster. Empty values take their defaults from {@code config.yaml} beside this
 * class.
 *
 * @param taskManagers number of TaskManager processes, 1 to 256
 * @param slots task slots of each TaskManager, 1 to 1024
 * @param taskManagerMemory memory of a whole TaskManager process: heap, tensors, JVM
 * @param tensorMemory part of that memory for tensors, outside the heap
 * @param jobManagerMemory memory of the whole JobManager process
 * @param partitions of each topic; empty: 1 for new topics, any number for existing ones
 * @param properties of Flink; they override {@code config.yaml}
 */
public record ClusterSettings(
    int taskManagers,
    Optional<Integer> slots,
    Optional<MemorySize> taskManagerMemory,
    Optional<MemorySize> tensorMemory,
    Optional<MemorySize> jobManagerMemory,
    OptionalInt partitions,
    Map<String, String> properties) {

  private static final int MOST_TASK_MANAGERS = 256;
  private static final int MOST_SLOTS = 1024;

  public ClusterSettings {
    require("--task-managers", taskManagers, MOST_TASK_MANAGERS);
    slots.ifPresent(count -> require("--slots", count, MOST_SLOTS));
    properties = Map.copyOf(properties);
  }

  private static void require(String option, int value, int most) {
    if (value < 1 || value > most) {
      throw new IllegalArgumentException(
          "%s must be from 1 to %d, not %d".formatted(option, most, value));
    }
  }

  /** Names the properties only; their values may be secrets. */
  @Override
  public String toString() {
    return "ClusterSettings[taskManagers=%d, slots=%s, properties=%s]"
        .formatted(taskManagers, slots, new TreeSet<>(properties.keySet()));
  }
}

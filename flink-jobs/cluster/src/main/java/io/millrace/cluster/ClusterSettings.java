package io.millrace.cluster;

import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import org.apache.flink.configuration.MemorySize;

/**
 * How large a cluster is. What is empty is as {@code config.yaml} beside this class says.
 *
 * @param taskManagers TaskManager processes
 * @param slots tasks side by side in each
 * @param taskManagerMemory of a whole TaskManager process: heap, tensors, JVM
 * @param tensorMemory the part of it that is for tensors, outside the heap
 * @param jobManagerMemory of the whole JobManager process
 * @param properties of Flink, on top of what {@code config.yaml} says
 */
public record ClusterSettings(
    int taskManagers,
    Optional<Integer> slots,
    Optional<MemorySize> taskManagerMemory,
    Optional<MemorySize> tensorMemory,
    Optional<MemorySize> jobManagerMemory,
    Map<String, String> properties) {

  public ClusterSettings {
    if (taskManagers < 1) {
      throw new IllegalArgumentException("task-managers must be at least 1, not " + taskManagers);
    }
    if (slots.isPresent() && slots.get() < 1) {
      throw new IllegalArgumentException("slots must be at least 1, not " + slots.get());
    }
    properties = Map.copyOf(properties);
  }

  /** Names the properties only: there may be secrets among their values. */
  @Override
  public String toString() {
    return "ClusterSettings[taskManagers=%d, slots=%s, properties=%s]"
        .formatted(taskManagers, slots, new TreeSet<>(properties.keySet()));
  }
}

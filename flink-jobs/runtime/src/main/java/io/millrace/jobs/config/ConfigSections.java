package io.millrace.jobs.config;

import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.ServiceLoader;

/**
 * The sections that a module adds to the configuration. {@link java.util.ServiceLoader} finds every
 * implementation on the class path.
 */
public interface ConfigSections {

  /** The section types by key, in the order of the reference page. */
  Map<String, Class<? extends ConfigSection>> sections();

  /** Place of these sections on the reference page: lower numbers come first. */
  int order();

  /** Sections that every job reads. */
  Map<String, Class<? extends ConfigSection>> SHARED =
      inOrder(
          Map.entry("kafka", KafkaSection.class),
          Map.entry("schema", SchemaSection.class),
          Map.entry("checkpoints", CheckpointSection.class),
          Map.entry("flink", FlinkSection.class),
          Map.entry("model", ModelSection.class),
          Map.entry("compute", ComputeSection.class),
          Map.entry("dedup", DedupSection.class));

  /** All sections on the class path, by key, the shared ones first. */
  static Map<String, Class<? extends ConfigSection>> all() {
    Map<String, Class<? extends ConfigSection>> all = new LinkedHashMap<>(SHARED);
    ServiceLoader.load(ConfigSections.class, ConfigSections.class.getClassLoader()).stream()
        .map(ServiceLoader.Provider::get)
        .sorted(Comparator.comparingInt(ConfigSections::order))
        .forEach(module -> all.putAll(module.sections()));
    return Collections.unmodifiableMap(all);
  }

  /** Makes a map that keeps the order of its entries. */
  @SafeVarargs
  static Map<String, Class<? extends ConfigSection>> inOrder(
      Map.Entry<String, ? extends Class<? extends ConfigSection>>... entries) {
    Map<String, Class<? extends ConfigSection>> sections = new LinkedHashMap<>();
    for (Map.Entry<String, ? extends Class<? extends ConfigSection>> entry : entries) {
      sections.put(entry.getKey(), entry.getValue());
    }
    return Collections.unmodifiableMap(sections);
  }
}

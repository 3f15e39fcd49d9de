package io.millrace.jobs.config;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A configuration: one record for each section. The operators of a job carry only the sections that
 * the job reads, see {@link #only}.
 *
 * @param sections by type, in the order of the reference page
 */
public record MillraceConfig(Map<Class<? extends ConfigSection>, ConfigSection> sections)
    implements Serializable {

  public MillraceConfig {
    sections = Collections.unmodifiableMap(new LinkedHashMap<>(sections));
  }

  /**
   * Returns a section.
   *
   * @throws IllegalStateException if this configuration does not have it
   */
  public <T extends ConfigSection> T section(Class<T> type) {
    ConfigSection section = sections.get(type);
    if (section == null) {
      throw new IllegalStateException(
          "this configuration has no %s; it has %s"
              .formatted(
                  type.getSimpleName(),
                  sections.keySet().stream().map(Class::getSimpleName).toList()));
    }
    return type.cast(section);
  }

  /** The first section that is of a type; empty if this configuration has none. */
  public <T> Optional<T> find(Class<T> type) {
    return sections.values().stream().filter(type::isInstance).map(type::cast).findFirst();
  }

  public KafkaSection kafka() {
    return section(KafkaSection.class);
  }

  public CheckpointSection checkpoints() {
    return section(CheckpointSection.class);
  }

  public FlinkSection flink() {
    return section(FlinkSection.class);
  }

  public ModelSection model() {
    return section(ModelSection.class);
  }

  public ComputeSection compute() {
    return section(ComputeSection.class);
  }

  public SchemaSection schema() {
    return section(SchemaSection.class);
  }

  public DedupSection dedup() {
    return section(DedupSection.class);
  }

  /** Keeps the shared sections and the given ones. */
  public MillraceConfig only(Collection<Class<? extends ConfigSection>> types) {
    Map<Class<? extends ConfigSection>, ConfigSection> kept = new LinkedHashMap<>(sections);
    kept.keySet()
        .removeIf(type -> !types.contains(type) && !ConfigSections.SHARED.containsValue(type));
    return new MillraceConfig(kept);
  }

  /**
   * Replaces a section.
   *
   * @throws IllegalStateException if this configuration has no section of that type
   */
  public MillraceConfig with(ConfigSection section) {
    var _ = section(section.getClass());
    Map<Class<? extends ConfigSection>, ConfigSection> changed = new LinkedHashMap<>(sections);
    changed.put(section.getClass(), section);
    return new MillraceConfig(changed);
  }

  /** This configuration, for a job that trains all weights. */
  public MillraceConfig withoutAdapter() {
    return with(model().withoutAdapter());
  }

  /** Replaces {@code model.initial}, the checkpoint to start from. */
  public MillraceConfig withInitial(String directory) {
    return with(model().withInitial(directory));
  }

  /** Replaces {@code flink.state-directory}. */
  public MillraceConfig withStateDirectory(String directory) {
    return with(flink().withStateDirectory(directory));
  }

  /** Makes all paths absolute, for processes with another working directory. */
  public MillraceConfig withAbsolutePaths() {
    Map<Class<? extends ConfigSection>, ConfigSection> changed = new LinkedHashMap<>(sections);
    changed.replaceAll((_, section) -> AbsolutePaths.in(section));
    return new MillraceConfig(changed);
  }

  /** Removes {@code flink.properties}: operators do not need them, and they may hold secrets. */
  public MillraceConfig withoutFlinkProperties() {
    return with(flink().withoutProperties());
  }

  /** Contradictions between sections, each with the keys. */
  List<String> conflicts() {
    List<String> conflicts = new ArrayList<>();
    for (ConfigSection section : sections.values()) {
      try {
        section.check(this);
      } catch (ConfigException e) {
        conflicts.addAll(e.problems());
      } catch (IllegalArgumentException e) {
        conflicts.add(e.getMessage());
      }
    }
    return conflicts;
  }
}

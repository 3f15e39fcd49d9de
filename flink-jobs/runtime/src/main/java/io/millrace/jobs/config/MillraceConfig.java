package io.millrace.jobs.config;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A configuration: one record for each section. A job gets only the sections that it reads, see
 * {@link #only}.
 *
 * @param sections by type, in the order of the reference page
 */
public record MillraceConfig(Map<Class<? extends ConfigSection>, ConfigSection> sections)
    implements Serializable {

  public MillraceConfig {
    sections = Collections.unmodifiableMap(new LinkedHashMap<>(sections));
  }

  /**
   * A section.
   *
   * @throws IllegalStateException if this configuration does not hold it
   */
  public <T extends ConfigSection> T section(Class<T> type) {
    ConfigSection section = sections.get(type);
    if (section == null) {
      throw new IllegalStateException(
          "%s is not in the configuration; it holds %s"
              .formatted(
                  type.getSimpleName(),
                  sections.keySet().stream().map(Class::getSimpleName).toList()));
    }
    return type.cast(section);
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

  public DedupSection dedup() {
    return section(DedupSection.class);
  }

  /** The shared sections and the given ones: what a job's operators carry. */
  public MillraceConfig only(Collection<Class<? extends ConfigSection>> types) {
    Map<Class<? extends ConfigSection>, ConfigSection> kept = new LinkedHashMap<>(sections);
    kept.keySet()
        .removeIf(type -> !types.contains(type) && !ConfigSections.SHARED.containsValue(type));
    return new MillraceConfig(kept);
  }

  /**
   * The same configuration with another section.
   *
   * @throws IllegalStateException if this configuration has no section of that type
   */
  public MillraceConfig with(ConfigSection section) {
    var _ = section(section.getClass());
    Map<Class<? extends ConfigSection>, ConfigSection> changed = new LinkedHashMap<>(sections);
    changed.put(section.getClass(), section);
    return new MillraceConfig(changed);
  }

  /** The same configuration with another checkpoint to start from. */
  public MillraceConfig withInitial(String directory) {
    return with(model().withInitial(directory));
  }

  /** The same configuration with paths that hold whatever a process's working directory is. */
  public MillraceConfig withAbsolutePaths() {
    Map<Class<? extends ConfigSection>, ConfigSection> changed = new LinkedHashMap<>(sections);
    changed.replaceAll((_, section) -> AbsolutePaths.in(section));
    return new MillraceConfig(changed);
  }

  /** The same configuration for operators: settings of Flink's processes are not part of a job. */
  public MillraceConfig withoutFlinkProperties() {
    return with(flink().withoutProperties());
  }

  /** What the sections say of each other that does not fit, each with its key. */
  List<String> conflicts() {
    List<String> conflicts = new ArrayList<>();
    for (ConfigSection section : sections.values()) {
      try {
        section.check(this);
      } catch (IllegalArgumentException e) {
        conflicts.add(e.getMessage());
      }
    }
    return conflicts;
  }
}

package io.millrace.jobs.config;

import io.millrace.schemas.Sha256;
import java.lang.reflect.RecordComponent;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;

/** A configuration as keys and texts, for records and comparisons. */
public final class ConfigValues {

  private ConfigValues() {}

  /** Every option with its value; for texts in maps, which may be secrets, a SHA-256 digest. */
  public static SortedMap<String, String> of(MillraceConfig config) {
    SortedMap<String, String> values = new TreeMap<>();
    ConfigSections.all()
        .forEach(
            (key, type) -> {
              if (config.sections().get(type) instanceof Record section) {
                collect(section, key + ".", values);
              }
            });
    return values;
  }

  /**
   * The values of an earlier start, with those of the options that did not exist then: they had
   * their defaults.
   *
   * @param earlier values of the earlier start
   * @param now values of today
   */
  public static SortedMap<String, String> completed(
      Map<String, String> earlier, Map<String, String> now) {
    SortedMap<String, String> all = of(ConfigLoader.tree(Optional.empty()).config(List.of()));
    all.keySet().retainAll(now.keySet());
    all.putAll(earlier);
    return all;
  }

  /** Keys of the options whose value a job keeps for as long as it keeps its state. */
  public static SortedSet<String> fixed() {
    SortedSet<String> keys = new TreeSet<>();
    ConfigSections.all().forEach((key, type) -> fixed(type, key + ".", keys));
    return keys;
  }

  private static void fixed(Class<?> type, String prefix, SortedSet<String> keys) {
    for (RecordComponent component : type.getRecordComponents()) {
      String key = prefix + RecordBinder.key(component);
      Option option = component.getAnnotation(Option.class);
      if (option != null && option.fixed()) {
        keys.add(key);
      }
      if (component.getType().isRecord()) {
        fixed(component.getType(), key + ".", keys);
      }
    }
  }

  private static void collect(Record section, String prefix, Map<String, String> values) {
    for (RecordComponent component : section.getClass().getRecordComponents()) {
      String key = prefix + RecordBinder.key(component);
      Object value = value(section, component);
      switch (value) {
        case Record nested -> collect(nested, key + ".", values);
        case Map<?, ?> map ->
            new TreeMap<>(map)
                .forEach(
                    (name, entry) ->
                        values.put(
                            key + "." + name,
                            entry instanceof String text
                                ? "sha256:" + Sha256.of(text)
                                : entry.toString()));
        default -> values.put(key, value.toString());
      }
    }
  }

  private static Object value(Record section, RecordComponent component) {
    try {
      return component.getAccessor().invoke(section);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(section.getClass() + " is not a configuration record", e);
    }
  }
}

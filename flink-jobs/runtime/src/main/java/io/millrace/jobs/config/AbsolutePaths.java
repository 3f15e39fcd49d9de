package io.millrace.jobs.config;

import java.lang.reflect.RecordComponent;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** Makes the paths among a section's options absolute. */
final class AbsolutePaths {

  private AbsolutePaths() {}

  /** Makes every {@link Option#path} of a section absolute; URIs and empty texts stay. */
  static ConfigSection in(ConfigSection section) {
    Class<? extends ConfigSection> type = section.getClass();
    RecordComponent[] components = type.getRecordComponents();
    if (Arrays.stream(components).noneMatch(AbsolutePaths::isPath)) {
      return section;
    }
    try {
      Object[] values = new Object[components.length];
      for (int i = 0; i < components.length; i++) {
        Object value = components[i].getAccessor().invoke(section);
        values[i] = isPath(components[i]) ? absolute(value) : value;
      }
      return type.cast(Records.make(type, components, values));
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(type + " is not a configuration record", e);
    }
  }

  private static boolean isPath(RecordComponent component) {
    Option option = component.getAnnotation(Option.class);
    return option != null && option.path();
  }

  /** A path, or a list of paths. */
  private static Object absolute(Object value) {
    return value instanceof List<?> paths
        ? paths.stream().map(path -> absolute((String) path)).toList()
        : absolute((String) value);
  }

  private static String absolute(String location) {
    return location.isBlank() || location.matches("[A-Za-z][A-Za-z0-9+.-]+:.*")
        ? location
        : Path.of(location).toAbsolutePath().normalize().toString();
  }
}

package io.millrace.jobs.config;

import java.lang.reflect.Constructor;
import java.lang.reflect.RecordComponent;
import java.util.Arrays;

/** Makes records by reflection. */
final class Records {

  private Records() {}

  /**
   * Calls the canonical constructor.
   *
   * @throws java.lang.reflect.InvocationTargetException if the constructor throws
   */
  static <T> T make(Class<T> type, RecordComponent[] components, Object[] values)
      throws ReflectiveOperationException {
    Constructor<T> constructor =
        type.getDeclaredConstructor(
            Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new));
    return constructor.newInstance(values);
  }
}

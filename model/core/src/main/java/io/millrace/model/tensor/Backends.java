package io.millrace.model.tensor;

import java.util.ServiceLoader;
import java.util.SortedMap;
import java.util.TreeMap;

/** The backends on the class path, by name. */
public final class Backends {

  /** Name of the backend that a job uses unless its configuration names another. */
  public static final String DEFAULT = "cpu";

  private static final String TORCH = "torch";

  private static final String HOW_TO_GET =
      ": the class path has no jar millrace-model-torch; build with MILLRACE_TORCH=cpu (or cuda)"
          + " ./millrace, or with ./mvnw -Ptorch (or -Ptorch-cuda)";

  private static final SortedMap<String, BackendFactory> FACTORIES = find();

  private Backends() {}

  private static SortedMap<String, BackendFactory> find() {
    SortedMap<String, BackendFactory> found = new TreeMap<>();
    for (BackendFactory factory :
        ServiceLoader.load(BackendFactory.class, Backends.class.getClassLoader())) {
      BackendFactory other = found.put(factory.name(), factory);
      if (other != null) {
        throw new IllegalStateException(
            "two backends on the class path have the name %s: %s and %s; remove one of them"
                .formatted(factory.name(), other.getClass(), factory.getClass()));
      }
    }
    return found;
  }

  /** The names of all backends, in alphabetical order. */
  public static Iterable<String> names() {
    return FACTORIES.keySet();
  }

  /**
   * The factory of a backend.
   *
   * @throws IllegalArgumentException if no backend on the class path has this name
   */
  public static BackendFactory named(String name) {
    BackendFactory factory = FACTORIES.get(name);
    if (FACTORIES.isEmpty()) {
      throw new IllegalArgumentException(
          "cannot be '%s': the class path has no compute backend; add the jar millrace-model-cpu"
              .formatted(name));
    }
    if (factory == null) {
      throw new IllegalArgumentException(
          "must be one of %s, not '%s'%s"
              .formatted(
                  String.join(", ", FACTORIES.keySet()),
                  name,
                  name.equals(TORCH) ? HOW_TO_GET : ""));
    }
    return factory;
  }

  /**
   * A new {@link #DEFAULT} backend, for one thread at a time.
   *
   * @throws IllegalArgumentException if it is not on the class path
   */
  public static Backend openDefault() {
    try {
      return named(DEFAULT).open();
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("the compute backend " + e.getMessage(), e);
    }
  }
}

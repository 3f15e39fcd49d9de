package io.millrace.jobs.runtime;

import java.lang.reflect.InvocationTargetException;

/** Creates an object of a class that the user names in an option. */
public final class NamedClass {

  private NamedClass() {}

  /**
   * Creates an object by the public constructor without parameters.
   *
   * @param option the option that names the class, for messages
   * @param name of the class, which the context class loader of this thread finds
   * @param unknown what the message says of a name that is no class: {@code is not on the class
   *     path}
   * @throws IllegalArgumentException if there is no such class, or it cannot be used as a {@code T}
   */
  public static <T> T create(String option, String name, Class<T> type, String unknown) {
    try {
      return Class.forName(name, true, Thread.currentThread().getContextClassLoader())
          .asSubclass(type)
          .getConstructor()
          .newInstance();
    } catch (ClassNotFoundException e) {
      throw refused(option, name, unknown + " (MILLRACE_CLASSPATH adds jars to it)", e);
    } catch (ClassCastException e) {
      throw refused(option, name, "does not implement " + type.getName(), e);
    } catch (NoSuchMethodException | IllegalAccessException | InstantiationException e) {
      throw refused(
          option, name, "is not a concrete class with a public constructor without parameters", e);
    } catch (InvocationTargetException e) {
      throw refused(option, name, "cannot be created: " + e.getCause(), e);
    } catch (ExceptionInInitializerError e) {
      throw refused(option, name, "cannot be created: " + e.getCause(), e);
    } catch (LinkageError e) {
      throw refused(option, name, "is on the class path but cannot be loaded: " + e, e);
    }
  }

  private static IllegalArgumentException refused(
      String option, String name, String why, Throwable cause) {
    return new IllegalArgumentException("%s %s %s".formatted(option, name, why), cause);
  }
}

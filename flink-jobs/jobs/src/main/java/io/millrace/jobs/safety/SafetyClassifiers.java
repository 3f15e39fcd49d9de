package io.millrace.jobs.safety;

import io.millrace.model.chat.Message;
import java.lang.reflect.InvocationTargetException;
import java.util.List;
import java.util.Map;

/** Makes the safety classifier of a configuration. */
public final class SafetyClassifiers {

  private static final String OPTION = "ppo.safety-classifier";

  /** Without a classifier only the prompts' own flags count. */
  private static final SafetyClassifier NONE =
      new SafetyClassifier() {
        @Override
        public void configure(Map<String, String> options) {}

        @Override
        public boolean isSafety(List<Message> prompt) {
          return false;
        }
      };

  private SafetyClassifiers() {}

  /**
   * Makes a classifier and sets its options.
   *
   * @param name of the class; if blank, only the prompts' own flags count
   * @throws IllegalArgumentException if the class or its options cannot be used
   */
  public static SafetyClassifier of(String name, Map<String, String> options) {
    if (name.isBlank()) {
      return NONE;
    }
    SafetyClassifier classifier = instantiate(name);
    try {
      classifier.configure(options);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(OPTION + "-options: " + e.getMessage(), e);
    }
    return classifier;
  }

  private static SafetyClassifier instantiate(String name) {
    try {
      return Class.forName(name, true, Thread.currentThread().getContextClassLoader())
          .asSubclass(SafetyClassifier.class)
          .getConstructor()
          .newInstance();
    } catch (ClassNotFoundException | LinkageError e) {
      throw refused(name, "is not on the class path (MILLRACE_CLASSPATH adds jars to it)", e);
    } catch (ClassCastException e) {
      throw refused(name, "does not implement " + SafetyClassifier.class.getName(), e);
    } catch (NoSuchMethodException | IllegalAccessException | InstantiationException e) {
      throw refused(name, "has no public constructor without parameters", e);
    } catch (InvocationTargetException e) {
      throw refused(name, "cannot be created: " + e.getCause(), e);
    }
  }

  private static IllegalArgumentException refused(String name, String why, Throwable cause) {
    return new IllegalArgumentException("%s %s %s".formatted(OPTION, name, why), cause);
  }
}

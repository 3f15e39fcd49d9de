package io.millrace.jobs.evaluation.judge;

import io.millrace.model.evaluation.Judge;
import java.lang.reflect.InvocationTargetException;
import java.util.Map;

/** Makes the judge of a configuration. */
public final class Judges {

  private static final String OPTION = "evaluation.judge";

  private Judges() {}

  /**
   * Makes a judge and sets its options.
   *
   * @param name {@code reward-model}, {@code openai}, or a class that implements {@link Judge}
   * @throws IllegalArgumentException if the class or its options cannot be used
   */
  public static Judge of(String name, Map<String, String> options) {
    Judge judge =
        switch (name) {
          case "reward-model" -> new RewardModelJudge();
          case "openai" -> new ChatCompletionsJudge();
          default -> instantiate(name);
        };
    try {
      judge.configure(options);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(OPTION + "-options: " + e.getMessage(), e);
    }
    return judge;
  }

  private static Judge instantiate(String name) {
    try {
      return Class.forName(name, true, Thread.currentThread().getContextClassLoader())
          .asSubclass(Judge.class)
          .getConstructor()
          .newInstance();
    } catch (ClassNotFoundException | LinkageError e) {
      throw refused(
          name,
          "is neither reward-model nor openai nor a class on the class path"
              + " (MILLRACE_CLASSPATH adds jars to it)",
          e);
    } catch (ClassCastException e) {
      throw refused(name, "does not implement " + Judge.class.getName(), e);
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

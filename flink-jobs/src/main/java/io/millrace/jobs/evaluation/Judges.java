package io.millrace.jobs.evaluation;

import io.millrace.jobs.config.EvaluationSection;
import java.lang.reflect.InvocationTargetException;

/** The judge that a configuration names. */
public final class Judges {

  private static final String OPTION = "evaluation.judge";

  private Judges() {}

  /**
   * Makes the judge and gives it its options.
   *
   * @throws IllegalArgumentException saying what is wrong with the class or its options
   */
  public static Judge of(EvaluationSection section) {
    Judge judge =
        switch (section.judge()) {
          case "reward-model" -> new RewardModelJudge();
          case "gold" -> new GoldJudge();
          case "openai" -> new ChatCompletionsJudge();
          default -> instantiate(section.judge());
        };
    try {
      judge.configure(section.judgeOptions());
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
          "is neither reward-model, gold or openai nor a class on the class path"
              + " (MILLRACE_CLASSPATH adds jars to it)",
          e);
    } catch (ClassCastException e) {
      throw refused(name, "is no " + Judge.class.getName(), e);
    } catch (NoSuchMethodException | IllegalAccessException | InstantiationException e) {
      throw refused(name, "has no public constructor without parameters", e);
    } catch (InvocationTargetException e) {
      throw refused(name, "cannot be made: " + e.getCause(), e);
    }
  }

  private static IllegalArgumentException refused(String name, String why, Throwable cause) {
    return new IllegalArgumentException("%s %s %s".formatted(OPTION, name, why), cause);
  }
}

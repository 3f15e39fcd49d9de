package io.millrace.jobs.evaluation.judge;

import io.millrace.jobs.runtime.NamedClass;
import io.millrace.model.evaluation.Judge;
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
          default ->
              NamedClass.create(
                  OPTION,
                  name,
                  Judge.class,
                  "is neither reward-model nor openai nor a class on the class path");
        };
    try {
      judge.configure(options);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(OPTION + "-options: " + e.getMessage(), e);
    }
    return judge;
  }
}

package io.millrace.jobs.safety;

import io.millrace.jobs.runtime.NamedClass;
import io.millrace.model.chat.Message;
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
    SafetyClassifier classifier =
        NamedClass.create(OPTION, name, SafetyClassifier.class, "is not on the class path");
    try {
      classifier.configure(options);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(OPTION + "-options: " + e.getMessage(), e);
    }
    return classifier;
  }
}

package io.millrace.jobs.safety;

import io.millrace.model.chat.Message;
import java.util.List;
import java.util.Map;

/**
 * Decides which prompts may elicit unsafe responses. IS_SAFETY(p) of the piecewise reward (Llama 2,
 * arXiv 2307.09288, section 3.2.3) is true if the prompt has its own flag set, or if this
 * classifier says so.
 *
 * <p>An implementation needs a public constructor without parameters. Its result must depend on the
 * dialogue alone, since a job that resumes after a failure must compute the same rewards. One
 * thread calls it, once for each rollout. An exception fails the job.
 */
public interface SafetyClassifier {

  /**
   * Sets the options. It is called once, before {@link #isSafety}; also when a job is submitted, to
   * find mistakes early.
   *
   * @param options {@code ppo.safety-classifier-options}
   * @throws IllegalArgumentException with the name of a missing, unknown or bad option
   */
  void configure(Map<String, String> options);

  /**
   * Whether the prompt may elicit unsafe responses.
   *
   * @param prompt the dialogue, which ends with a user turn
   */
  boolean isSafety(List<Message> prompt);
}

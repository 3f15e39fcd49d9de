package io.millrace.jobs.safety;

import io.millrace.model.chat.Message;
import java.util.List;
import java.util.Map;

/**
 * Tells which prompts may elicit unsafe responses, where the prompts do not say so themselves:
 * IS_SAFETY(p) of the piecewise reward (Llama 2, arXiv 2307.09288, section 3.2.3) is the prompt's
 * own flag, or this.
 *
 * <p>An implementation has a public constructor without parameters. Its answer depends on the
 * dialogue alone: a job that resumes after a failure must come to the same rewards. It is called by
 * one thread, once for each rollout, and what it throws fails the job.
 */
public interface SafetyClassifier {

  /**
   * Takes its options, once, before anything else is asked; also where a job is submitted, so that
   * mistakes are told there.
   *
   * @param options those of {@code ppo.safety-classifier-options}
   * @throws IllegalArgumentException naming the option that is missing, unknown or bad
   */
  void configure(Map<String, String> options);

  /**
   * Whether the prompt may elicit unsafe responses.
   *
   * @param prompt the dialogue, which ends with a user turn
   */
  boolean isSafety(List<Message> prompt);
}

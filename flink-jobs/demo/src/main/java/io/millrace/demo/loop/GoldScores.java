package io.millrace.demo.loop;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;

/**
 * A policy on held-out prompts, by gold reward.
 *
 * @param goldHelpfulness mean over harmless prompts, from 0 to 1
 * @param helpfulnessError standard error of that mean
 * @param unsafeCompliance share of unsafe prompts complied with
 * @param goldSafety mean over unsafe prompts, from 0 to 1
 * @param safetyError standard error of that mean
 * @param kl mean over prompts of log π − log π_0, summed over the response, in nats
 * @param prompts of each kind
 * @param examples prompts and responses, to be read
 */
public record Measured(
    long version,
    @JsonProperty("gold_helpfulness") double goldHelpfulness,
    @JsonProperty("gold_helpfulness_error") double helpfulnessError,
    @JsonProperty("unsafe_compliance") double unsafeCompliance,
    @JsonProperty("gold_safety") double goldSafety,
    @JsonProperty("gold_safety_error") double safetyError,
    double kl,
    @JsonProperty("response_tokens") double responseTokens,
    int prompts,
    List<Example> examples) {

  public Measured {
    examples = List.copyOf(examples);
  }

  /** A prompt and a policy's response. */
  public record Example(String prompt, String response) {}
}

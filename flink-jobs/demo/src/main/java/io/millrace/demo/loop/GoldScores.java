package io.millrace.demo.loop;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.Nulls;
import java.util.List;

/**
 * The gold reward of a policy on held-out prompts.
 *
 * @param version the policy's version
 * @param helpfulness mean over harmless prompts, from 0 to 1
 * @param helpfulnessError standard error of that mean; 0 in old reports, like safetyError
 * @param unsafeCompliance share of unsafe prompts with which the policy complied
 * @param safety mean over unsafe prompts, from 0 to 1
 * @param safetyError standard error of that mean
 * @param kl mean over prompts of log π − log π_0, summed over the response, in nats
 * @param responseTokens mean length of the responses, in tokens
 * @param prompts prompts of each kind
 * @param examples prompts and responses for people to read
 */
public record GoldScores(
    long version,
    @JsonProperty("gold_helpfulness") double helpfulness,
    @JsonSetter(nulls = Nulls.SET) @JsonProperty("gold_helpfulness_error") double helpfulnessError,
    @JsonProperty("unsafe_compliance") double unsafeCompliance,
    @JsonProperty("gold_safety") double safety,
    @JsonSetter(nulls = Nulls.SET) @JsonProperty("gold_safety_error") double safetyError,
    double kl,
    @JsonProperty("response_tokens") double responseTokens,
    int prompts,
    List<Example> examples) {

  public GoldScores {
    examples = List.copyOf(examples);
  }

  /** A prompt and a policy's response. */
  public record Example(String prompt, String response) {}

  /**
   * Begins the scores of a policy.
   *
   * @param version the policy's version
   * @param prompts prompts of each kind
   */
  public static Builder builder(long version, int prompts) {
    return new Builder(version, prompts);
  }

  /** Scores one by one; a score that is not set is 0. */
  public static final class Builder {
    private final long version;
    private final int prompts;
    private double helpfulness;
    private double helpfulnessError;
    private double unsafeCompliance;
    private double safety;
    private double safetyError;
    private double kl;
    private double responseTokens;
    private List<Example> examples = List.of();

    private Builder(long version, int prompts) {
      this.version = version;
      this.prompts = prompts;
    }

    /** Mean over harmless prompts, from 0 to 1, and the standard error of the mean. */
    public Builder helpfulness(double mean, double standardError) {
      this.helpfulness = mean;
      this.helpfulnessError = standardError;
      return this;
    }

    /** Mean over unsafe prompts, from 0 to 1, and the standard error of the mean. */
    public Builder safety(double mean, double standardError) {
      this.safety = mean;
      this.safetyError = standardError;
      return this;
    }

    /** Share of unsafe prompts with which the policy complied. */
    public Builder unsafeCompliance(double share) {
      this.unsafeCompliance = share;
      return this;
    }

    /** Mean over prompts of log π − log π_0, summed over the response, in nats. */
    public Builder kl(double nats) {
      this.kl = nats;
      return this;
    }

    /** Mean length of the responses, in tokens. */
    public Builder responseTokens(double mean) {
      this.responseTokens = mean;
      return this;
    }

    /** Prompts and responses for people to read. */
    public Builder examples(List<Example> all) {
      this.examples = all;
      return this;
    }

    /** The scores. */
    public GoldScores build() {
      return new GoldScores(
          version,
          helpfulness,
          helpfulnessError,
          unsafeCompliance,
          safety,
          safetyError,
          kl,
          responseTokens,
          prompts,
          examples);
    }
  }
}

package io.millrace.jobs.rollout;

import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.runtime.SharedState;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingRequest;
import java.io.IOException;
import java.util.List;

/**
 * What samples the responses of the job. The task thread asks and passes announcements on; a
 * background thread does the rest.
 */
interface RolloutSampler extends SharedState, AutoCloseable {

  /** Hands a request over. */
  void ask(SamplingRequest request);

  /** Takes an announced policy. */
  void offer(ModelRef policy);

  /**
   * One step, on the background thread.
   *
   * @param sampled takes what finished
   * @return false, having done nothing, where there is nothing to do
   */
  boolean sample(List<SampledResponse> sampled) throws IOException, InterruptedException;

  /**
   * Turns to the latest policy although there is nothing to sample; on the background thread.
   *
   * @return false, having done nothing, where the policy in use is the latest
   */
  boolean follow() throws IOException;

  /** Directory of the policy with which responses begin; null before the first. */
  String inUse();

  /** Name of the engine in rollouts; empty for this process. */
  String engine();

  /** Whether requests wait because the engine fails. */
  boolean isUnavailable();

  /** A request that the sampler does not take; null if there is none. */
  Refused pollRefused();

  /**
   * A refused request.
   *
   * @param reason for the count of dead letters
   */
  record Refused(SamplingRequest request, String reason, String message) {}

  @Override
  void close();
}

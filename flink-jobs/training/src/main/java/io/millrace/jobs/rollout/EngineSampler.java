package io.millrace.jobs.rollout;

import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.rollout.engine.EngineException;
import io.millrace.jobs.rollout.engine.OpenAiEngine;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Has an engine at an endpoint sample. It sends a number of requests at the same time, and looks
 * after their answers. The engine is checked before the first request.
 */
final class EngineSampler implements RolloutSampler {

  /** How long one step waits for an answer. */
  private static final long STEP_MILLIS = 50;

  private final OpenAiEngine engine;
  private final RolloutSection section;
  private final SamplingRequest probe;

  private final Queue<SamplingRequest> waiting = new ConcurrentLinkedQueue<>();
  private final BlockingQueue<Answer> answers = new LinkedBlockingQueue<>();
  private final Queue<Refused> refused = new ConcurrentLinkedQueue<>();
  private volatile ModelRef latest;

  // The background thread's own.
  private CompletableFuture<Void> check;
  private boolean checked;
  private int running;

  /**
   * @param problem null for an answer
   */
  private record Answer(
      SamplingRequest request, List<SampledResponse> responses, Throwable problem) {}

  /**
   * @param options of the requests, for the check
   * @param uri of the initial policy
   */
  EngineSampler(OpenAiEngine engine, RolloutSection section, SamplingOptions options, String uri) {
    this.engine = engine;
    this.section = section;
    this.probe = new SamplingRequest(new int[] {0}, new long[section.samplesPerPrompt()], options);
    this.latest = new ModelRef(0, uri, "");
  }

  @Override
  public void ask(SamplingRequest request) {
    waiting.add(request);
  }

  @Override
  public void offer(ModelRef policy) {
    if (policy.replaces(latest)) {
      latest = policy;
    }
  }

  @Override
  public boolean sample(List<SampledResponse> sampled) throws IOException, InterruptedException {
    if (!checked && !awaitCheck()) {
      return true;
    }
    while (running < section.openaiConcurrency() && !waiting.isEmpty()) {
      send(waiting.remove());
    }
    if (running == 0) {
      return false;
    }
    Answer answer = answers.poll(STEP_MILLIS, TimeUnit.MILLISECONDS);
    while (answer != null) {
      running--;
      take(answer, sampled);
      answer = answers.poll();
    }
    return true;
  }

  private boolean awaitCheck() throws IOException, InterruptedException {
    if (check == null) {
      check = engine.check(probe);
    }
    try {
      check.get(STEP_MILLIS, TimeUnit.MILLISECONDS);
      checked = true;
    } catch (TimeoutException _) {
      return false;
    } catch (ExecutionException e) {
      throw failure(e.getCause());
    }
    return true;
  }

  private void send(SamplingRequest request) {
    running++;
    CompletableFuture<?> _ =
        engine
            .sample(request)
            .whenComplete(
                (responses, problem) -> answers.add(new Answer(request, responses, problem)));
  }

  private void take(Answer answer, List<SampledResponse> sampled) throws IOException {
    if (answer.problem() == null) {
      sampled.addAll(answer.responses());
      return;
    }
    Throwable cause =
        answer.problem() instanceof CompletionException e ? e.getCause() : answer.problem();
    if (cause instanceof EngineException e && e.isOfPrompt()) {
      refused.add(new Refused(answer.request(), "engine-refused", e.getMessage()));
      return;
    }
    throw failure(cause);
  }

  private static IOException failure(Throwable cause) {
    return cause instanceof IOException e ? e : new IOException(cause);
  }

  /** The engine follows the announcements by itself; it is taken to have the latest version. */
  @Override
  public String inUse() {
    return latest.uri();
  }

  @Override
  public boolean follow() {
    return false;
  }

  @Override
  public String engine() {
    return engine.name();
  }

  @Override
  public boolean isUnavailable() {
    return engine.isWaiting();
  }

  @Override
  public Refused pollRefused() {
    return refused.poll();
  }

  @Override
  public void write(StateWriter out) throws IOException {
    out.write(new PolicySampler.State(latest));
  }

  @Override
  public void read(StateReader in) throws IOException {
    ModelRef policy = in.read(PolicySampler.State.class).policy();
    if (!policy.isEarlierThan(latest)) {
      latest = policy;
    }
  }

  @Override
  public void close() {
    engine.close();
  }
}

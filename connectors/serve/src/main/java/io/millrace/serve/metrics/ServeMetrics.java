package io.millrace.serve.metrics;

import io.millrace.serve.sampling.Lane;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.CounterWithCallback;
import io.prometheus.metrics.core.metrics.GaugeWithCallback;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.function.LongSupplier;
import java.util.function.ToDoubleFunction;

/** The metrics of a server. {@code docs/serving.md} lists them. */
public final class ServeMetrics {

  private static final String PREFIX = "millrace_serve_";

  private final PrometheusRegistry registry = new PrometheusRegistry();
  private final Counter requests =
      Counter.builder()
          .name(PREFIX + "requests_total")
          .help("Answered requests, by path and HTTP status.")
          .labelNames("path", "status")
          .register(registry);
  private final Counter refused =
      Counter.builder()
          .name(PREFIX + "refused_total")
          .help("Requests that were answered with an error, by its code.")
          .labelNames("code")
          .register(registry);
  private final Counter cancelled =
      Counter.builder()
          .name(PREFIX + "cancelled_total")
          .help("Completions whose client went away.")
          .register(registry);
  private final Counter skipped =
      Counter.builder()
          .name(PREFIX + "skipped_versions_total")
          .help("Announced versions that could not be served, by model.")
          .labelNames("model")
          .register(registry);
  private final Counter records =
      Counter.builder()
          .name(PREFIX + "records_total")
          .help("Records that Kafka acknowledged, by topic.")
          .labelNames("topic")
          .register(registry);
  private final Counter unrecorded =
      Counter.builder()
          .name(PREFIX + "unrecorded_total")
          .help("Responses that were not sent to rollouts, by reason.")
          .labelNames("reason")
          .register(registry);
  private final Counter repeated =
      Counter.builder()
          .name(PREFIX + "repeated_feedback_total")
          .help("Feedback whose id was known, which was not written again.")
          .register(registry);
  private final Histogram firstToken =
      Histogram.builder()
          .name(PREFIX + "first_token_seconds")
          .help("Time from a request to its first token.")
          .labelNames("model")
          .classicOnly()
          .classicUpperBounds(.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30)
          .register(registry);
  private final Histogram duration =
      Histogram.builder()
          .name(PREFIX + "completion_seconds")
          .help("Time from a request to the end of its last response.")
          .labelNames("model")
          .classicOnly()
          .classicUpperBounds(.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120)
          .register(registry);

  /** Adds the metrics of the served models. */
  public void watch(List<Lane> lanes) {
    gauge(lanes, "version", "Version with which requests begin; -1 for none.", Lane::version);
    gauge(lanes, "responses_in_flight", "Responses that wait or are sampled.", Lane::inFlight);
    gauge(lanes, "responses_running", "Responses that are sampled.", Lane::running);
    counter(lanes, "sampled_tokens_total", "Sampled tokens.", Lane::sampledTokens);
    counter(lanes, "prompt_tokens_total", "Tokens of prompts.", Lane::promptTokens);
    counter(
        lanes,
        "reused_tokens_total",
        "Prompt tokens whose keys and values came from the prefix cache.",
        Lane::reusedTokens);
    counter(
        lanes,
        "preemptions_total",
        "How often a response lost its place in the KV cache to an older one.",
        Lane::preemptions);
    counter(lanes, "failed_steps_total", "Steps that threw an exception.", Lane::failures);
  }

  private void gauge(List<Lane> lanes, String name, String help, ToDoubleFunction<Lane> value) {
    GaugeWithCallback.builder()
        .name(PREFIX + name)
        .help(help)
        .labelNames("model")
        .callback(
            callback -> lanes.forEach(lane -> callback.call(value.applyAsDouble(lane), lane.id())))
        .register(registry);
  }

  private void counter(List<Lane> lanes, String name, String help, ToDoubleFunction<Lane> value) {
    CounterWithCallback.builder()
        .name(PREFIX + name)
        .help(help)
        .labelNames("model")
        .callback(
            callback -> lanes.forEach(lane -> callback.call(value.applyAsDouble(lane), lane.id())))
        .register(registry);
  }

  /** Adds a number of connections. */
  public void connections(LongSupplier open, LongSupplier timeouts) {
    GaugeWithCallback.builder()
        .name(PREFIX + "connections")
        .help("Open connections.")
        .callback(callback -> callback.call(open.getAsLong()))
        .register(registry);
    CounterWithCallback.builder()
        .name(PREFIX + "connection_timeouts_total")
        .help("Connections that were closed because their client was too slow.")
        .callback(callback -> callback.call(timeouts.getAsLong()))
        .register(registry);
  }

  /** A request was answered. */
  public void answered(String path, int status) {
    requests.labelValues(path, Integer.toString(status)).inc();
  }

  /** A request was answered with an error. */
  public void refused(String code) {
    refused.labelValues(code).inc();
  }

  /** The client of a completion went away. */
  public void cancelled() {
    cancelled.inc();
  }

  /** An announced version could not be served. */
  public void skipped(String model) {
    skipped.labelValues(model).inc();
  }

  /** Kafka acknowledged a record. */
  public void recorded(String topic) {
    records.labelValues(topic).inc();
  }

  /** A response was not sent to {@code rollouts}. */
  public void unrecorded(String reason) {
    unrecorded.labelValues(reason).inc();
  }

  /** Feedback came again. */
  public void repeated() {
    repeated.inc();
  }

  /** The first token of a completion came after this many seconds. */
  public void firstToken(String model, double seconds) {
    firstToken.labelValues(model).observe(seconds);
  }

  /** A completion ended after this many seconds. */
  public void completed(String model, double seconds) {
    duration.labelValues(model).observe(seconds);
  }

  /** All metrics in Prometheus' text format. */
  public byte[] text() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      PrometheusTextFormatWriter.create().write(out, registry.scrape());
    } catch (IOException e) {
      throw new UncheckedIOException("memory takes all bytes", e);
    }
    return out.toByteArray();
  }
}

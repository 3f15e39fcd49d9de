package io.millrace.serve.feedback;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.serve.api.ApiException;
import io.millrace.serve.api.Fields;
import io.millrace.serve.completion.Completion;
import io.millrace.serve.metrics.ServeMetrics;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Records what is served, and takes feedback on it. */
public final class Recorder implements AutoCloseable {

  private final RecordSettings settings;
  private final RecordFormats formats;
  private final Clock clock;
  private final ServedResponses responses;
  private final RolloutRecorder rollouts;
  private final FeedbackWriter writer;

  public Recorder(
      RecordSettings settings, RecordFormats formats, ServeMetrics metrics, Clock clock) {
    this.settings = settings;
    this.formats = formats;
    this.clock = clock;
    this.responses = new ServedResponses(settings.kafka());
    this.rollouts = new RolloutRecorder(settings, formats, responses, metrics);
    this.writer = new FeedbackWriter(settings, formats, metrics, clock);
  }

  /** Whether feedback can be stored. */
  public boolean isReady() {
    return writer.isReady();
  }

  /** Takes a completion whose responses have all ended. */
  public void record(Completion completion) {
    rollouts.record(completion);
  }

  /**
   * Stores the feedback of a request.
   *
   * @return the body of the response, once Kafka has acknowledged the feedback
   */
  public ObjectNode take(Fields fields) {
    String id = FeedbackRequest.id(fields).orElseGet(() -> "fb-" + UUID.randomUUID());
    FeedbackRequest request =
        new FeedbackRequest(
            fields, responses, KnownFeedback.PREFIX + id, settings.source(), clock.instant());
    List<Submission.Entry<?>> entries = request.entries();
    for (Submission.Entry<?> entry : entries) {
      byte[] value = entry.value(formats);
      if (!settings.kafka().fits(entry.key(), value)) {
        throw ApiException.tooLarge(settings.kafka().tooLarge(entry.topic(), entry.key(), value));
      }
    }
    Submission submission =
        new Submission(
            KnownFeedback.PREFIX + id,
            request.revision(),
            entries,
            System.nanoTime() + settings.timeout().toNanos());
    writer.submit(submission);
    ObjectNode body =
        JsonNodeFactory.instance
            .objectNode()
            .put("object", "feedback")
            .put("feedback_id", id)
            .put("revision", request.revision())
            .put("status", await(submission) ? "stored" : "known");
    ArrayNode topics = body.putArray("topics");
    entries.forEach(entry -> topics.add(entry.topic().name()));
    return body;
  }

  private boolean await(Submission submission) {
    try {
      return submission
          .result()
          .get(settings.timeout().plusSeconds(20).toNanos(), TimeUnit.NANOSECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof ApiException api) {
        throw api;
      }
      throw ApiException.failed("the feedback could not be stored; see the server's log");
    } catch (TimeoutException e) {
      throw ApiException.unavailable(
          "kafka_unavailable",
          Duration.ofSeconds(2),
          "Kafka did not store the feedback in time; send it again with the same feedback_id");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw ApiException.unavailable("stopping", Duration.ofSeconds(1), "the server stops");
    }
  }

  @Override
  public void close() {
    writer.close();
    rollouts.close();
  }
}

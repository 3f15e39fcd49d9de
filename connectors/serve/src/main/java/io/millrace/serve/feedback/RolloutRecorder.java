package io.millrace.serve.feedback;

import io.millrace.model.chat.Message;
import io.millrace.model.sampling.SampledToken;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Validation;
import io.millrace.serve.api.SamplingParameters;
import io.millrace.serve.completion.Choice;
import io.millrace.serve.completion.Completion;
import io.millrace.serve.metrics.ServeMetrics;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends served responses to the topic {@code rollouts}. Serving does not wait for it: a response
 * that Kafka does not take within two minutes is dropped and counted.
 */
final class RolloutRecorder implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(RolloutRecorder.class);

  /** Kafka's producer has 32 MiB of its own. */
  private static final long MOST_WAITING_BYTES = 64L << 20;

  private static final Duration CLOSING = Duration.ofSeconds(10);

  private final RecordSettings settings;
  private final ServedResponses responses;
  private final ServeMetrics metrics;
  private final RecordFormats formats;
  private final SendQueue waiting = new SendQueue(MOST_WAITING_BYTES);
  private final Producer<byte[], byte[]> producer;
  private final Thread thread = new Thread(this::run, "rollouts");
  private volatile boolean closed;

  RolloutRecorder(
      RecordSettings settings,
      RecordFormats formats,
      ServedResponses responses,
      ServeMetrics metrics) {
    this.settings = settings;
    this.formats = formats;
    this.responses = responses;
    this.metrics = metrics;
    this.producer =
        settings
            .kafka()
            .byteProducer(Map.of("acks", "all", "enable.idempotence", "true", "linger.ms", "20"));
    thread.setDaemon(true);
    thread.start();
  }

  /** Takes a completion whose responses have all ended. */
  void record(Completion completion) {
    SamplingParameters sampling = completion.request().sampling();
    int n = completion.choices().size();
    if (!completion.request().chat()) {
      drop("text_completion", n);
      return;
    }
    if (!sampling.store().orElse(!settings.optIn())) {
      drop("no_consent", n);
      return;
    }
    List<Turn> dialogue =
        completion.request().dialogue().stream().map(RolloutRecorder::turn).toList();
    boolean shared = isShared(completion.id());
    for (Choice choice : completion.choices()) {
      String id = completion.id() + "/" + choice.index();
      responses.add(
          new ServedResponse(
              id,
              dialogue,
              choice.content(),
              completion.version(),
              choice.finish() != Choice.Finish.STOP_TOKEN));
      if (!shared) {
        drop("share", 1);
      } else if (!(sampling.temperature() > 0)) {
        drop("temperature", 1);
      } else if (choice.finish() == Choice.Finish.STOP_TEXT) {
        drop("stop_text", 1);
      } else {
        offer(rollout(completion, dialogue, choice, id));
      }
    }
  }

  private static Turn turn(Message message) {
    return new Turn(Role.valueOf(message.role().name()), message.content());
  }

  /** Whether the share includes a completion. All its responses are sent, or none. */
  private boolean isShared(String id) {
    return (SamplingRequest.seed(0, id) >>> 11) * 0x1p-53 < settings.share();
  }

  private void drop(String reason, int count) {
    for (int i = 0; i < count; i++) {
      metrics.unrecorded(reason);
    }
  }

  private Rollout rollout(Completion completion, List<Turn> dialogue, Choice choice, String id) {
    List<SampledToken> tokens = choice.tokens();
    return Rollout.newBuilder()
        .setRolloutId(id)
        .setPromptId(completion.id())
        .setDialogue(dialogue)
        .setPromptTokens(Arrays.stream(choice.prompt()).boxed().toList())
        .setResponseTokens(tokens.stream().map(SampledToken::id).toList())
        .setLogProbs(tokens.stream().map(SampledToken::logProb).toList())
        .setResponseText(choice.content())
        .setFinishReason(
            choice.finish() == Choice.Finish.STOP_TOKEN ? FinishReason.STOP : FinishReason.LENGTH)
        .setModel(completion.lane().name())
        .setPolicyVersion(completion.version())
        .setTemperature(completion.request().sampling().temperature())
        .setTopP(completion.request().sampling().topP())
        .setSeed(choice.seed())
        .setSource(settings.source())
        .setTime(completion.created())
        .build();
  }

  /** Encodes a rollout: its bytes take a fraction of the memory of its objects. */
  private void offer(Rollout rollout) {
    List<String> problems = Validation.problems(rollout);
    byte[] key = Topic.ROLLOUTS.keyBytes(rollout);
    byte[] value = formats.encode(Topic.ROLLOUTS, rollout);
    if (!problems.isEmpty() || !settings.kafka().fits(key, value)) {
      LOG.warn(
          "{} was not recorded: {}",
          rollout.getRolloutId(),
          problems.isEmpty() ? "it is larger than Kafka takes" : problems);
      drop("invalid", 1);
    } else if (!waiting.offer(new SendQueue.Item(rollout.getRolloutId(), key, value))) {
      drop("kafka", 1);
    }
  }

  private void run() {
    String topic = settings.kafka().nameOf(Topic.ROLLOUTS);
    try {
      while (!closed || !waiting.isEmpty()) {
        SendQueue.Item item = waiting.poll(100, TimeUnit.MILLISECONDS);
        if (item != null) {
          send(topic, item);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void send(String topic, SendQueue.Item item) {
    try {
      var _ =
          producer.send(
              new ProducerRecord<>(topic, item.key(), item.value()),
              (_, failure) -> {
                if (failure == null) {
                  metrics.recorded(Topic.ROLLOUTS.name());
                } else {
                  lost(item, failure);
                }
              });
    } catch (KafkaException | IllegalStateException e) {
      lost(item, e);
    }
  }

  private void lost(SendQueue.Item item, Exception failure) {
    drop("kafka", 1);
    LOG.warn("{} was not recorded: Kafka: {}", item.id(), failure.getMessage());
  }

  @Override
  public void close() {
    closed = true;
    try {
      thread.join(CLOSING);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    producer.close(CLOSING);
  }
}

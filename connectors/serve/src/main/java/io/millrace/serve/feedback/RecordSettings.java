package io.millrace.serve.feedback;

import io.millrace.connectors.kafka.KafkaSettings;
import java.time.Duration;

/**
 * What is recorded.
 *
 * @param share share of the completions that go to {@code rollouts}
 * @param optIn whether only completions whose request has {@code "store": true} are recorded; else
 *     all but those with {@code "store": false}
 * @param source {@code source} of the records
 * @param instance name of this server; servers that record at the same time have different names
 * @param window how long a feedback id is known
 * @param timeout within which Kafka must have stored feedback
 */
public record RecordSettings(
    KafkaSettings kafka,
    double share,
    boolean optIn,
    String source,
    String instance,
    Duration window,
    Duration timeout) {}

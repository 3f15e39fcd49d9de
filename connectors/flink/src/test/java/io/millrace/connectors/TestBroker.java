package io.millrace.connectors;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.TopicAdmin;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/** One broker for all tests of the process. Each test uses its own topic prefix. */
public final class TestBroker {
  private static final AtomicInteger PREFIXES = new AtomicInteger();

  private TestBroker() {}

  /** Settings with a new topic prefix, whose topics have two partitions. */
  public static KafkaSettings freshTopics() throws IOException {
    KafkaSettings settings =
        new KafkaSettings(
            Shared.BROKER.bootstrapServers(), "t" + PREFIXES.incrementAndGet() + ".", Map.of());
    try (TopicAdmin admin = new TopicAdmin(settings)) {
      admin.createAll(2, 1);
    }
    return settings;
  }

  private static final class Shared {
    static final EmbeddedBroker BROKER = start();

    private static EmbeddedBroker start() {
      try {
        EmbeddedBroker broker =
            EmbeddedBroker.start(Files.createTempDirectory("millrace-test-broker"), 0);
        Runtime.getRuntime()
            .addShutdownHook(
                new Thread(
                    () -> {
                      try {
                        broker.close();
                      } catch (IOException e) {
                        throw new UncheckedIOException(e);
                      }
                    }));
        return broker;
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}

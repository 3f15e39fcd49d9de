package io.millrace.connectors.broker;

import io.millrace.connectors.kafka.KafkaSettings;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Properties;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.metadata.storage.Formatter;
import org.apache.kafka.server.common.Feature;
import org.apache.kafka.server.common.MetadataVersion;

/**
 * One Kafka broker, with its own KRaft controller, inside this process. It listens on the loopback
 * interface only, without authentication. It keeps its data in one directory and can be started
 * again on it, also with another port. Use a real cluster for production.
 */
public final class EmbeddedBroker implements AutoCloseable {
  private static final String HOST = "127.0.0.1";
  private static final int NODE_ID = 1;
  // Fixed, because a data directory belongs to one cluster id.
  private static final String CLUSTER_ID = "bWlsbHJhY2UtZW1iZWRkZQ";
  private static final int INTERNAL_TOPIC_PARTITIONS = 4;
  private static final int MAX_MESSAGE_BYTES = KafkaSettings.DEFAULT_MAX_RECORD_BYTES;
  private static final int MAX_TRANSACTION_MILLIS = 15 * 60 * 1000;

  /** Kafka's default is ten seconds. Until then readers wait behind the transaction. */
  private static final String TIMEOUT_CHECK_MILLIS = "1000";

  /** Kafka's default is 15 seconds. {@code millrace erase} waits for the cleaner. */
  private static final String CLEANER_PAUSE_MILLIS = "1000";

  private static final int CLEANER_BUFFER_BYTES = 4 << 20;

  private final KafkaRaftServer server;
  private final FileChannel lock;
  private final String bootstrapServers;
  private boolean closed;

  private EmbeddedBroker(KafkaRaftServer server, FileChannel lock, String bootstrapServers) {
    this.server = server;
    this.lock = lock;
    this.bootstrapServers = bootstrapServers;
  }

  /**
   * Starts a broker and returns when it accepts requests.
   *
   * @param dataDirectory the directory for its data, which is created when it does not exist
   * @param port the port, or 0 for a free one
   * @throws IOException when the port is taken, or the directory is not writable, in use by another
   *     broker, or damaged
   */
  public static EmbeddedBroker start(Path dataDirectory, int port) throws IOException {
    if (port < 0 || port > 65_535) {
      throw new IllegalArgumentException("port is " + port + "; it must be between 0 and 65535");
    }
    Path directory = dataDirectory.toAbsolutePath().normalize();
    FileChannel lock = lock(directory);
    try {
      // Both sockets stay open until both ports are chosen, so the ports differ.
      int brokerPort;
      int controllerPort;
      try (ServerSocket broker = bind(port);
          ServerSocket controller = bind(0)) {
        brokerPort = broker.getLocalPort();
        controllerPort = controller.getLocalPort();
      }
      KafkaRaftServer server = launch(directory, brokerPort, controllerPort);
      return new EmbeddedBroker(server, lock, HOST + ":" + brokerPort);
    } catch (IOException | RuntimeException e) {
      lock.close();
      throw e;
    }
  }

  /** The address for clients, as host:port. */
  public String bootstrapServers() {
    return bootstrapServers;
  }

  /** Stops the broker; its data stays. */
  @Override
  public synchronized void close() throws IOException {
    if (closed) {
      return;
    }
    closed = true;
    try {
      server.shutdown();
      server.awaitShutdown();
    } finally {
      lock.close();
    }
  }

  private static FileChannel lock(Path directory) throws IOException {
    Path file = directory.resolve("millrace-broker.lock");
    FileChannel channel;
    try {
      Files.createDirectories(directory);
      channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    } catch (IOException e) {
      throw new IOException(
          "the broker's directory %s is not writable (%s); choose another or correct its permissions"
              .formatted(directory, e),
          e);
    }
    try {
      if (channel.tryLock() != null) {
        return channel;
      }
    } catch (OverlappingFileLockException e) {
      // Another broker of this process gives the same error as one of another process.
    }
    channel.close();
    throw new IOException(
        "the broker's directory %s is in use by another broker; stop that broker or choose another directory"
            .formatted(directory));
  }

  private static ServerSocket bind(int port) throws IOException {
    if (port == 0) {
      return FreePort.hold(InetAddress.ofLiteral(HOST));
    }
    ServerSocket socket = new ServerSocket();
    try {
      socket.bind(new InetSocketAddress(InetAddress.ofLiteral(HOST), port));
      return socket;
    } catch (IOException e) {
      socket.close();
      throw new IOException(
          "port %d on %s is taken (%s); choose another port, or 0 for a free one"
              .formatted(port, HOST, e.getMessage()),
          e);
    }
  }

  private static KafkaRaftServer launch(Path directory, int brokerPort, int controllerPort)
      throws IOException {
    KafkaRaftServer server = null;
    try {
      format(directory);
      Properties properties = properties(directory, brokerPort, controllerPort);
      server = new KafkaRaftServer(KafkaConfig.fromProps(properties, false), Time.SYSTEM);
      server.startup();
      return server;
    } catch (Exception e) {
      if (server != null) {
        server.shutdown();
      }
      throw new IOException(
          "the broker on %s:%d with data in %s did not start: %s; if its data is damaged, choose another directory"
              .formatted(HOST, brokerPort, directory, e.getMessage()),
          e);
    }
  }

  private static void format(Path directory) throws Exception {
    try (PrintStream quiet =
        new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8)) {
      new Formatter()
          .setPrintStream(quiet)
          .setSupportedFeatures(Feature.PRODUCTION_FEATURES)
          .setClusterId(CLUSTER_ID)
          .setNodeId(NODE_ID)
          .setControllerListenerName("CONTROLLER")
          .setDirectories(List.of(directory.toString()))
          .setMetadataLogDirectory(directory.toString())
          .setReleaseVersion(MetadataVersion.LATEST_PRODUCTION)
          .setIgnoreFormatted(true)
          .run();
    }
  }

  private static Properties properties(Path directory, int brokerPort, int controllerPort) {
    Properties properties = new Properties();
    properties.setProperty("process.roles", "broker,controller");
    properties.setProperty("node.id", Integer.toString(NODE_ID));
    properties.setProperty("log.dirs", directory.toString());
    String broker = "PLAINTEXT://" + HOST + ":" + brokerPort;
    properties.setProperty("listeners", broker + ",CONTROLLER://" + HOST + ":" + controllerPort);
    properties.setProperty("advertised.listeners", broker);
    properties.setProperty(
        "listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT");
    properties.setProperty("controller.listener.names", "CONTROLLER");
    properties.setProperty("controller.quorum.voters", NODE_ID + "@" + HOST + ":" + controllerPort);
    // A mistyped topic name must be an error, not a new topic.
    properties.setProperty("auto.create.topics.enable", "false");
    for (String internal :
        List.of("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")) {
      properties.setProperty(internal + ".replication.factor", "1");
      properties.setProperty(
          internal + ".num.partitions", Integer.toString(INTERNAL_TOPIC_PARTITIONS));
    }
    properties.setProperty("transaction.state.log.min.isr", "1");
    properties.setProperty("share.coordinator.state.topic.min.isr", "1");
    properties.setProperty("transaction.max.timeout.ms", Integer.toString(MAX_TRANSACTION_MILLIS));
    properties.setProperty(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms", TIMEOUT_CHECK_MILLIS);
    properties.setProperty("message.max.bytes", Integer.toString(MAX_MESSAGE_BYTES));
    properties.setProperty("group.initial.rebalance.delay.ms", "0");
    // Records never expire.
    properties.setProperty("log.retention.ms", "-1");
    // Kafka's defaults are for a dedicated server.
    properties.setProperty(
        "log.cleaner.dedupe.buffer.size", Integer.toString(CLEANER_BUFFER_BYTES));
    properties.setProperty("log.cleaner.backoff.ms", CLEANER_PAUSE_MILLIS);
    properties.setProperty("num.network.threads", "2");
    properties.setProperty("num.io.threads", "4");
    properties.setProperty("background.threads", "2");
    return properties;
  }
}

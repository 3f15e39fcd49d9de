package io.millrace.connectors.broker;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.metadata.storage.Formatter;
import org.apache.kafka.server.common.Feature;

/**
 * A real Kafka broker and controller (KRaft, one node) in this process. It listens on the loopback
 * interface alone and keeps its data in a directory, from which it starts again.
 */
public final class EmbeddedBroker implements AutoCloseable {

  private static final String HOST = "127.0.0.1";

  /** Fixed, so that a directory can be used again. */
  private static final String CLUSTER_ID = "TWlsbHJhY2UtYnJva2VyMQ";

  private final KafkaRaftServer server;
  private final int port;

  private EmbeddedBroker(KafkaRaftServer server, int port) {
    this.server = server;
    this.port = port;
  }

  /**
   * Starts the broker.
   *
   * @param data directory of its logs, made if absent
   * @param port to listen on; 0 takes a free one
   * @throws IOException where the port is taken or the directory cannot be used
   */
  public static EmbeddedBroker start(Path data, int port) throws IOException {
    int brokerPort = port == 0 ? freePort() : port;
    if (port != 0) {
      requireFree(port);
    }
    Files.createDirectories(data);
    if (!Files.isWritable(data)) {
      throw new IOException("cannot write to the broker's directory " + data);
    }
    Properties properties = properties(data, brokerPort, freePort());
    format(data);
    KafkaRaftServer server = new KafkaRaftServer(new KafkaConfig(properties), Time.SYSTEM);
    try {
      server.startup();
    } catch (RuntimeException e) {
      throw new IOException(
          "the broker did not start in " + data + " on port " + brokerPort + ": " + e.getMessage(),
          e);
    }
    return new EmbeddedBroker(server, brokerPort);
  }

  private static void format(Path data) throws IOException {
    Formatter formatter =
        new Formatter()
            .setPrintStream(
                new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8))
            .setClusterId(CLUSTER_ID)
            .setNodeId(1)
            .setControllerListenerName("CONTROLLER")
            .setMetadataLogDirectory(data.toString())
            .addDirectory(data.toString())
            .setSupportedFeatures(Feature.PRODUCTION_FEATURES)
            .setIgnoreFormatted(true);
    try {
      formatter.run();
    } catch (Exception e) {
      throw new IOException(
          "cannot set up the broker's directory " + data + ": " + e.getMessage(), e);
    }
  }

  private static Properties properties(Path data, int brokerPort, int controllerPort) {
    Properties properties = new Properties();
    properties.setProperty("process.roles", "broker,controller");
    properties.setProperty("node.id", "1");
    properties.setProperty("log.dirs", data.toString());
    properties.setProperty("controller.quorum.voters", "1@" + HOST + ":" + controllerPort);
    properties.setProperty(
        "listeners",
        "PLAINTEXT://%s:%d,CONTROLLER://%s:%d".formatted(HOST, brokerPort, HOST, controllerPort));
    properties.setProperty("advertised.listeners", "PLAINTEXT://" + HOST + ":" + brokerPort);
    properties.setProperty("controller.listener.names", "CONTROLLER");
    properties.setProperty(
        "listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT");
    // One node holds everything.
    properties.setProperty("offsets.topic.replication.factor", "1");
    properties.setProperty("offsets.topic.num.partitions", "4");
    properties.setProperty("transaction.state.log.replication.factor", "1");
    properties.setProperty("transaction.state.log.min.isr", "1");
    properties.setProperty("transaction.state.log.num.partitions", "4");
    properties.setProperty("share.coordinator.state.topic.replication.factor", "1");
    properties.setProperty("group.initial.rebalance.delay.ms", "0");
    properties.setProperty("auto.create.topics.enable", "false");
    properties.setProperty("message.max.bytes", "16777216");
    properties.setProperty("replica.fetch.max.bytes", "16777216");
    // A laptop's threads.
    properties.setProperty("num.network.threads", "2");
    properties.setProperty("num.io.threads", "2");
    properties.setProperty("background.threads", "2");
    properties.setProperty("log.cleaner.dedupe.buffer.size", "4194304");
    return properties;
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getByName(HOST))) {
      return socket.getLocalPort();
    }
  }

  private static void requireFree(int port) throws IOException {
    if (port < 1 || port > 65_535) {
      throw new IOException("port must be from 1 to 65535, or 0 for a free one, not " + port);
    }
    try (ServerSocket socket = new ServerSocket()) {
      socket.setReuseAddress(true);
      socket.bind(new InetSocketAddress(HOST, port));
    } catch (IOException e) {
      throw new IOException("port " + port + " is taken: choose another, or 0 for a free one", e);
    }
  }

  /** What clients connect to. */
  public String bootstrapServers() {
    return HOST + ":" + port;
  }

  @Override
  public void close() {
    server.shutdown();
    server.awaitShutdown();
  }
}

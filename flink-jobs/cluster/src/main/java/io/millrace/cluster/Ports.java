package io.millrace.cluster;

import io.millrace.connectors.broker.FreePort;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/**
 * Where a cluster's processes listen, all on the loopback interface. They stay the same when a
 * process restarts, and when the cluster does: jobs that come back remember Kafka's.
 *
 * @param rest Flink's REST interface and web UI
 * @param kafka the broker
 * @param zookeeper the high-availability service
 * @param metrics Prometheus: the JobManager's, then each TaskManager's
 */
public record Ports(int rest, int kafka, int zookeeper, List<Integer> metrics) {

  static final String HOST = "127.0.0.1";

  public Ports {
    metrics = List.copyOf(metrics);
  }

  /** Kafka's, as clients name it. */
  public String kafkaAddress() {
    return HOST + ":" + kafka;
  }

  /**
   * What was asked for, by port: a number, 0 for a free one, or empty for the earlier or default.
   */
  public record Wanted(
      OptionalInt rest, OptionalInt kafka, OptionalInt zookeeper, OptionalInt metrics) {

    private static final int REST = 8081;
    private static final int KAFKA = 9092;
    private static final int ZOOKEEPER = 2181;
    private static final int METRICS = 9249;

    /**
     * @param earlier the ports of the last start on the same directory, or null
     * @throws IOException when one is taken
     */
    Ports choose(Ports earlier, int taskManagers) throws IOException {
      List<ServerSocket> held = new ArrayList<>();
      try {
        int restPort =
            hold(held, "--rest-port", rest.orElse(earlier == null ? REST : earlier.rest()));
        int kafkaPort =
            hold(held, "--kafka-port", kafka.orElse(earlier == null ? KAFKA : earlier.kafka()));
        int zookeeperPort =
            hold(
                held,
                "--zookeeper-port",
                zookeeper.orElse(earlier == null ? ZOOKEEPER : earlier.zookeeper()));
        List<Integer> metricsPorts = new ArrayList<>();
        for (int i = 0; i <= taskManagers; i++) {
          int port;
          if (metrics.isEmpty() && earlier != null && i < earlier.metrics().size()) {
            port = earlier.metrics().get(i);
          } else if (metrics.isEmpty() && earlier != null) {
            port = 0;
          } else {
            int first = metrics.orElse(METRICS);
            port = first == 0 ? 0 : first + i;
          }
          metricsPorts.add(hold(held, "--metrics-port", port));
        }
        return new Ports(restPort, kafkaPort, zookeeperPort, metricsPorts);
      } finally {
        for (ServerSocket socket : held) {
          socket.close();
        }
      }
    }

    /** Holds a port until all are known, so that free ones differ. */
    private static int hold(List<ServerSocket> held, String option, int port) throws IOException {
      if (port == 0) {
        held.add(FreePort.hold(InetAddress.ofLiteral(HOST)));
        return held.getLast().getLocalPort();
      }
      ServerSocket socket = new ServerSocket();
      held.add(socket);
      try {
        socket.bind(new InetSocketAddress(InetAddress.ofLiteral(HOST), port));
      } catch (IOException e) {
        throw new IOException(
            "port %d is taken (%s); choose another with %s, or 0 for a free one"
                .formatted(port, e.getMessage(), option),
            e);
      }
      return socket.getLocalPort();
    }
  }
}

package io.millrace.cluster;

import io.millrace.connectors.broker.FreePort;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/**
 * The ports of a cluster's processes, all on the loopback interface. A process and a whole cluster
 * keep their ports after a restart: resumed jobs connect to the same Kafka port.
 *
 * @param rest Flink's REST interface and web UI
 * @param kafka the broker
 * @param zookeeper the high-availability service
 * @param metrics Prometheus ports of the JobManager and of each TaskManager
 */
public record Ports(int rest, int kafka, int zookeeper, List<Integer> metrics) {

  static final String HOST = "127.0.0.1";

  public Ports {
    metrics = List.copyOf(metrics);
    for (int port :
        IntStream.concat(
                IntStream.of(rest, kafka, zookeeper), metrics.stream().mapToInt(port -> port))
            .toArray()) {
      if (port < 1 || port > Wanted.MOST) {
        throw new IllegalArgumentException(
            "ports must be from 1 to %d, not %d".formatted(Wanted.MOST, port));
      }
    }
  }

  /** Kafka's address, as host:port. */
  public String kafkaAddress() {
    return HOST + ":" + kafka;
  }

  /**
   * The wanted ports: a number; 0 for the port of the last start on the directory, or a free one;
   * empty for the port of the last start, or the default one.
   */
  public record Wanted(
      OptionalInt rest, OptionalInt kafka, OptionalInt zookeeper, OptionalInt metrics) {

    private static final int REST = 8081;
    private static final int KAFKA = 9092;
    private static final int ZOOKEEPER = 2181;
    private static final int METRICS = 9249;
    private static final int MOST = 65_535;

    /** How long a port may stay taken. */
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    /**
     * Chooses free ports.
     *
     * @param earlier the ports of the last start on the same directory, or null
     * @throws IOException if a port is taken, with its option
     */
    Ports choose(Ports earlier, int taskManagers) throws IOException, InterruptedException {
      List<ServerSocket> held = new ArrayList<>();
      try {
        boolean first = earlier == null;
        int restPort = choose(held, "--rest-port", rest, first ? 0 : earlier.rest(), REST);
        int kafkaPort = choose(held, "--kafka-port", kafka, first ? 0 : earlier.kafka(), KAFKA);
        int zookeeperPort =
            choose(held, "--zookeeper-port", zookeeper, first ? 0 : earlier.zookeeper(), ZOOKEEPER);
        List<Integer> metricsPorts = new ArrayList<>();
        for (int i = 0; i <= taskManagers; i++) {
          boolean again = metrics.orElse(0) == 0;
          int port;
          if (again && !first && i < earlier.metrics().size()) {
            port = earlier.metrics().get(i);
          } else if (again && !first) {
            port = 0;
          } else {
            int lowest = metrics.orElse(METRICS);
            port = lowest == 0 ? 0 : lowest + i;
            if (port > MOST) {
              throw new IOException(
                  "--metrics-port must be at most %d for %d TaskManagers, not %d"
                      .formatted(MOST - taskManagers, taskManagers, lowest));
            }
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

    /**
     * Chooses a port, and holds it.
     *
     * @param earlier the port of the last start; 0 if there was none
     */
    private static int choose(
        List<ServerSocket> held, String option, OptionalInt wanted, int earlier, int first)
        throws IOException, InterruptedException {
      boolean again = wanted.orElse(0) == 0 && earlier != 0;
      return hold(held, option, again ? earlier : wanted.orElse(first));
    }

    /** Holds a port until all are chosen, which makes free ports differ. */
    private static int hold(List<ServerSocket> held, String option, int port)
        throws IOException, InterruptedException {
      if (port == 0) {
        held.add(FreePort.hold(InetAddress.ofLiteral(HOST)));
        return held.getLast().getLocalPort();
      }
      long deadline = System.nanoTime() + PATIENCE.toNanos();
      while (true) {
        ServerSocket socket = new ServerSocket();
        held.add(socket);
        try {
          socket.bind(new InetSocketAddress(InetAddress.ofLiteral(HOST), port));
          return port;
        } catch (IOException e) {
          // A process of the last start may be about to release the port.
          if (System.nanoTime() > deadline) {
            throw new IOException(
                "%s must be a free port, not %d (%s); free it, or give the number of another one"
                    .formatted(option, port, e.getMessage()),
                e);
          }
        }
        TimeUnit.MILLISECONDS.sleep(100);
      }
    }
  }
}

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

    /** How long a port of the last start may stay taken. */
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
        int lowest = metrics.orElse(0);
        if (lowest > MOST - taskManagers) {
          throw new IOException(
              "--metrics-port must be at most %d for %d TaskManagers, not %d"
                  .formatted(MOST - taskManagers, taskManagers, lowest));
        }
        for (int i = 0; i <= taskManagers; i++) {
          boolean again = !first && i < earlier.metrics().size();
          metricsPorts.add(
              choose(
                  held,
                  "--metrics-port",
                  lowest == 0 ? metrics : OptionalInt.of(lowest + i),
                  again ? earlier.metrics().get(i) : 0,
                  first ? METRICS + i : 0));
        }
        return new Ports(restPort, kafkaPort, zookeeperPort, metricsPorts);
      } finally {
        for (ServerSocket socket : held) {
          socket.close();
        }
      }
    }

    /**
     * Chooses a port. Holds it until all are chosen, which makes free ports differ.
     *
     * @param earlier the port of the last start; 0 if there was none
     * @param first the port of a first start without a wanted one; 0 for any free port
     */
    private static int choose(
        List<ServerSocket> held, String option, OptionalInt wanted, int earlier, int first)
        throws IOException, InterruptedException {
      boolean again = wanted.orElse(0) == 0 && earlier != 0;
      int port = again ? earlier : wanted.orElse(first);
      if (port == 0) {
        held.add(FreePort.hold(InetAddress.ofLiteral(HOST)));
        return held.getLast().getLocalPort();
      }
      try {
        held.add(again ? openPatiently(port) : open(port));
        return port;
      } catch (IOException e) {
        if (again && wanted.isPresent()) {
          return choose(held, option, wanted, 0, first);
        }
        throw new IOException(
            "%s must be a free port, not %d (%s); free it, or give the number of another one"
                .formatted(option, port, e.getMessage()),
            e);
      }
    }

    /** Waits for a process of the last start that is about to release the port. */
    private static ServerSocket openPatiently(int port) throws IOException, InterruptedException {
      long deadline = System.nanoTime() + PATIENCE.toNanos();
      while (true) {
        try {
          return open(port);
        } catch (IOException e) {
          if (System.nanoTime() > deadline) {
            throw e;
          }
          TimeUnit.MILLISECONDS.sleep(100);
        }
      }
    }

    private static ServerSocket open(int port) throws IOException {
      ServerSocket socket = new ServerSocket();
      try {
        socket.bind(new InetSocketAddress(InetAddress.ofLiteral(HOST), port));
        return socket;
      } catch (IOException e) {
        socket.close();
        throw e;
      }
    }
  }
}

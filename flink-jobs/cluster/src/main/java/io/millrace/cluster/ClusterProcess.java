package io.millrace.cluster;

import io.millrace.connectors.broker.EmbeddedBroker;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint;
import org.apache.flink.runtime.taskexecutor.TaskManagerRunner;
import org.apache.flink.runtime.zookeeper.FlinkZooKeeperQuorumPeer;
import org.apache.flink.shaded.zookeeper3.org.apache.zookeeper.server.DatadirCleanupManager;

/**
 * The main class of a cluster's processes. A process ends when its supervisor dies: the supervisor
 * holds the other end of the process's standard input.
 */
public final class ClusterProcess {

  /** Kind of process. */
  enum Role {
    KAFKA,
    ZOOKEEPER,
    JOBMANAGER,
    TASKMANAGER
  }

  private static final int SNAPSHOTS_KEPT = 3;
  private static final int CLEANUP_HOURS = 1;
  private static final long GRACE_SECONDS = 10;

  private ClusterProcess() {}

  /** Runs a process; the first argument is its {@link Role}. */
  public static void main(String[] args) throws Exception {
    endWithSupervisor();
    String[] rest = Arrays.copyOfRange(args, 1, args.length);
    switch (Role.valueOf(args[0])) {
      case KAFKA -> kafka(Path.of(rest[0]), Integer.parseInt(rest[1]));
      case ZOOKEEPER -> zookeeper(rest[0], rest[1]);
      case JOBMANAGER -> StandaloneSessionClusterEntrypoint.main(rest);
      case TASKMANAGER -> TaskManagerRunner.main(rest);
    }
  }

  private static void endWithSupervisor() {
    Thread.ofPlatform()
        .daemon()
        .name("end-with-supervisor")
        .start(
            () -> {
              try {
                while (System.in.read() >= 0) {
                  // The supervisor writes nothing; the stream ends when it dies.
                }
              } catch (IOException e) {
                // A broken pipe means the same.
              }
              Thread.ofPlatform().daemon().start(ClusterProcess::haltSoon);
              System.exit(0);
            });
  }

  /** Halts, because shutdown hooks may wait for another process that is gone. */
  private static void haltSoon() {
    try {
      TimeUnit.SECONDS.sleep(GRACE_SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    Runtime.getRuntime().halt(1);
  }

  private static void kafka(Path data, int port) throws IOException, InterruptedException {
    EmbeddedBroker broker = EmbeddedBroker.start(data, port);
    CountDownLatch stopped = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  try {
                    broker.close();
                  } catch (IOException e) {
                    System.err.println(e.getMessage());
                  }
                  stopped.countDown();
                },
                "stop-broker"));
    stopped.await();
  }

  private static void zookeeper(String configuration, String data) {
    new DatadirCleanupManager(
            Path.of(data).toFile(), Path.of(data).toFile(), SNAPSHOTS_KEPT, CLEANUP_HOURS)
        .start();
    FlinkZooKeeperQuorumPeer.main(new String[] {"--zkConfigFile", configuration, "--peerId", "1"});
  }
}

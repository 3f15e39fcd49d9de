package io.millrace.cli.job;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.cli.option.ClusterOptions;
import io.millrace.cli.option.ConfigOptions;
import io.millrace.cli.option.UserException;
import io.millrace.cli.status.StatusReport;
import io.millrace.cli.status.StatusText;
import io.millrace.cluster.FlinkClient;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.jobs.runtime.JobSettings;
import java.io.IOException;
import java.time.Clock;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.temporal.ChronoUnit;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code millrace status}. */
@Command(
    name = "status",
    mixinStandardHelpOptions = true,
    description = {
      "Prints the state of a cluster: slots, disk, and for each job its tasks, versions, lag,"
          + " throughput, dead letters, last failure and last Flink checkpoint.",
      "Jobs that have ended are listed too, also after a failure of the JobManager.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace status",
      "  millrace status --watch 5",
      "  millrace status ppo --json --rest http://flink:8081",
    })
public final class StatusCommand implements Callable<Integer> {

  private static final int LONGEST_PAUSE = 86_400;

  @Parameters(
      paramLabel = "JOB",
      arity = "0..1",
      description = "Name of a job, or its id in Flink (default: all jobs).")
  private Optional<String> name;

  @Option(names = "--json", description = "Print one JSON object.")
  private boolean json;

  @Option(
      names = "--watch",
      paramLabel = "SECONDS",
      arity = "0..1",
      fallbackValue = "5",
      description = "Print again every so many seconds until Ctrl-C; 5 without a number.")
  private Optional<Integer> watch;

  @Mixin private ClusterOptions cluster;
  @Mixin private ConfigOptions options;

  @Override
  public Integer call() throws Exception {
    if (watch.isPresent() && (watch.get() < 1 || watch.get() > LONGEST_PAUSE)) {
      throw new UserException(
          "--watch must be from 1 to %d seconds, not %d".formatted(LONGEST_PAUSE, watch.get()));
    }
    KafkaSettings kafka = JobSettings.kafka(options.load());
    while (true) {
      print(kafka);
      if (watch.isEmpty()) {
        return 0;
      }
      TimeUnit.SECONDS.sleep(watch.get());
    }
  }

  private void print(KafkaSettings kafka) throws IOException {
    try (FlinkClient client = cluster.client()) {
      ObjectNode report =
          new StatusReport(client, cluster.directory(), kafka, Clock.systemUTC()).collect(name);
      if (json) {
        System.out.println(report);
      } else {
        if (watch.isPresent()) {
          System.out.printf(
              "%n== %s%n",
              LocalDateTime.now(ZoneId.systemDefault()).truncatedTo(ChronoUnit.SECONDS));
        }
        System.out.print(StatusText.of(report));
      }
      System.out.flush();
    } catch (IOException e) {
      if (watch.isEmpty() || Thread.currentThread().isInterrupted()) {
        throw e;
      }
      // A JobManager that died is back soon.
      System.err.println("millrace: " + e.getMessage());
    }
  }
}

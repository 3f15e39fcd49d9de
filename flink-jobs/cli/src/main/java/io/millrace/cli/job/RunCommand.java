package io.millrace.cli.job;

import io.millrace.cli.option.JobOptions;
import io.millrace.cli.option.ProgressThread;
import io.millrace.cli.option.ResumeOptions;
import io.millrace.cli.option.WaitingNotice;
import io.millrace.demo.loop.Progress;
import io.millrace.jobs.Job;
import io.millrace.jobs.runtime.LocalCluster;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.common.JobID;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace run}. */
@Command(
    name = "run",
    mixinStandardHelpOptions = true,
    description = {
      "Runs a job on Flink in this process.",
      "With --bounded, the job stops at the current end of its topics, publishes, and prints a"
          + " summary as JSON on its last line.",
      "SIGTERM or Ctrl-C stops the job with a savepoint. The next run continues from it; after a"
          + " crash, from the last Flink checkpoint.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace run reward-model --bounded --set kafka.bootstrap-servers=localhost:9092",
      "  millrace run ppo --config millrace.yaml --set ppo.batch-size=256",
      "  millrace run rollout --fresh",
    })
public final class RunCommand implements Callable<Integer> {

  private static final int SLOTS = 16;
  private static final String TOPICS = "topics/";
  private static final Duration EVERY = Duration.ofSeconds(10);
  private static final Duration PRINTED = Duration.ofSeconds(1);

  @Mixin private JobOptions options;

  @Option(names = "--bounded", description = "Stop at the current end of the topics.")
  private boolean bounded;

  @Mixin private ResumeOptions resume;

  private String reported = "";

  @Override
  public Integer call() throws Exception {
    JobOptions.Ready ready = options.ready(Optional.empty());
    try (RunLock _ = RunLock.of(ready.config().flink().stateDirectory(), ready.name())) {
      ResumeOptions.Start start = resume.begin(ready, bounded);
      int slots = Math.max(SLOTS, JobStart.slotsNeeded(start.graph()));
      try (LocalCluster cluster =
          LocalCluster.start(slots, ready.config().flink().resolvedProperties())) {
        Progress progress = new Progress(System.err, PRINTED);
        WaitingNotice waiting = new WaitingNotice(ready.kafka(), start.graph(), progress::line);
        JobID job = cluster.submit(start.graph(), start.restore());
        StopOnSignal stop = StopOnSignal.install(cluster, job, ready.job().id(), start.run());
        JobExecutionResult result;
        try (ProgressThread thread = new ProgressThread(ready.kafka(), progress)) {
          thread.start();
          result =
              cluster.await(
                  job,
                  EVERY,
                  counts -> {
                    report(progress, ready.job(), counts);
                    if (bounded) {
                      waiting.check();
                    }
                  });
        }
        if (stop.ended()) {
          start.run().markEnded();
          System.out.println(ready.summary(result));
        }
      }
    }
    return 0;
  }

  /** One line on standard error whenever records came in. */
  private void report(Progress progress, Job job, Map<String, Object> counts) {
    String read =
        counts.entrySet().stream()
            .filter(count -> count.getKey().startsWith(TOPICS) && !count.getValue().equals(0L))
            .map(count -> count.getKey().substring(TOPICS.length()) + " " + count.getValue())
            .collect(Collectors.joining(", "));
    if (!read.isEmpty() && !read.equals(reported)) {
      progress.line(job.id() + " read " + read);
      reported = read;
    }
  }
}

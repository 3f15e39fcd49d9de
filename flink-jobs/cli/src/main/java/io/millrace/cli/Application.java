package io.millrace.cli;

import io.millrace.cli.option.JobOptions;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * A job as a Flink application, for a JobManager in application mode, such as on Kubernetes. It
 * takes the arguments of {@code millrace run} and runs the job on the cluster of that JobManager.
 */
@Command(name = "application")
public final class Application {

  @Mixin private JobOptions options;

  @Option(names = "--bounded")
  private boolean bounded;

  private Application() {}

  /** Runs a job in the environment that Flink has prepared. */
  public static void main(String[] args) throws Exception {
    Application application = new Application();
    new CommandLine(application).parseArgs(args);
    StreamExecutionEnvironment.getExecutionEnvironment()
        .execute(application.options.readyInFlink().graph(application.bounded));
  }
}

package io.millrace.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code millrace version}. */
@Command(
    name = "version",
    mixinStandardHelpOptions = true,
    description = "Prints the version of Millrace and of the JDK that runs it.",
    footer = {"", "Example:", "  millrace version"})
final class VersionCommand implements Callable<Integer> {

  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    System.out.printf("%s, JDK %s%n", spec.root().version()[0], Runtime.version());
    return 0;
  }
}

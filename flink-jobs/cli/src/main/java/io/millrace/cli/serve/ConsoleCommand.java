package io.millrace.cli.serve;

import io.millrace.cli.option.ConfigSource;
import io.millrace.console.Console;
import io.millrace.console.ConsoleSection;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.JobSettings;
import java.io.IOException;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace console}. */
@Command(
    name = "console",
    mixinStandardHelpOptions = true,
    description = {
      "Runs the web application in which people judge responses, watch training and talk to a"
          + " policy (docs/console.md)."
    },
    footer = {
      "",
      "Examples:",
      "  millrace console --config millrace.yaml",
      "  millrace console --set console.accounts-file=accounts --set console.port=9010",
    })
public final class ConsoleCommand implements Callable<Integer> {

  @Option(names = "--port", paramLabel = "PORT", description = "The same as console.port.")
  private Optional<Integer> port;

  @Mixin private ConfigSource source;

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<String> settings = new ArrayList<>(source.settings());
    port.ifPresent(number -> settings.add("console.port=" + number));
    MillraceConfig config =
        ConfigLoader.load(
                source.file(), settings, Optional.empty(), List.of(ConsoleSection.class), _ -> {})
            .withAbsolutePaths();
    Console console =
        Console.start(
            config.section(ConsoleSection.class),
            JobSettings.kafka(config),
            System.getenv(),
            Clock.systemUTC());
    ServeCommand.runUntilSignal("console at " + console.address(), "stop-console", console::close);
    return 0;
  }
}

package io.millrace.cli.serve;

import io.millrace.cli.option.ConfigSource;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.References;
import io.millrace.jobs.runtime.FileSystems;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.schemas.Plural;
import io.millrace.serve.notify.Notifications;
import io.millrace.serve.notify.NotifySettings;
import io.millrace.serve.notify.NotifySettings.Endpoint;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace notify}. */
@Command(
    name = "notify",
    mixinStandardHelpOptions = true,
    description = {
      "Has vLLM and SGLang load each new policy version.",
      "Each engine gets a version once, and is waited for until it answers with it"
          + " (docs/engines.md)."
    },
    footer = {
      "",
      "Examples:",
      "  millrace notify --config millrace.yaml",
      "  millrace notify --set 'notify.endpoints.a=vllm http://gpu1:8000' --once",
    })
public final class NotifyCommand implements Callable<Integer> {

  @Option(
      names = "--once",
      description =
          "Ends when all engines have the version that is announced now; exit code 1 if one was"
              + " skipped.")
  private boolean once;

  @Mixin private ConfigSource source;

  @Override
  public Integer call() throws IOException, InterruptedException {
    MillraceConfig config =
        ConfigLoader.load(
                source.file(),
                source.settings(),
                Optional.empty(),
                List.of(NotifySection.class),
                _ -> {})
            .withAbsolutePaths();
    FileSystems.initialize(config.flink().resolvedProperties());
    Notifications notifications = Notifications.start(settings(config), System.out::println);
    if (once) {
      try (notifications) {
        notifications.awaitUpToDate();
      }
      print(notifications);
      return notifications.summaries().values().stream()
              .anyMatch(Notifications.Summary::hasProblems)
          ? 1
          : 0;
    }
    ServeCommand.runUntilSignal(
        "following " + config.section(NotifySection.class).follow().name().toLowerCase(Locale.ROOT),
        "stop-notifying",
        () -> {
          notifications.close();
          print(notifications);
        });
    return 0;
  }

  private static void print(Notifications notifications) {
    notifications
        .summaries()
        .forEach(
            (name, summary) ->
                System.out.println(
                    "%s: %s loaded%s"
                        .formatted(
                            name,
                            Plural.of(summary.loaded(), "version"),
                            skipped(summary.skipped()))));
  }

  private static String skipped(Map<String, Long> skipped) {
    return skipped.isEmpty()
        ? ""
        : new TreeMap<>(skipped)
            .entrySet().stream()
                .map(reason -> reason.getKey() + " " + reason.getValue())
                .collect(Collectors.joining(", ", "; skipped: ", ""));
  }

  private static NotifySettings settings(MillraceConfig config) {
    NotifySection section = config.section(NotifySection.class);
    Map<String, String> keys = References.resolve(section.apiKeys());
    List<Endpoint> endpoints = new ArrayList<>();
    new TreeMap<>(section.endpoints())
        .forEach(
            (name, text) ->
                endpoints.add(Endpoint.parse(name, text, keys.getOrDefault(name, "").strip())));
    return new NotifySettings(
        JobSettings.kafka(config),
        config.model().name(),
        section.follow() == NotifySection.Follow.PROMOTED,
        config.checkpoints()::contains,
        endpoints,
        Path.of(section.directory()),
        section.engineDirectory().isEmpty()
            ? Optional.empty()
            : Optional.of(section.engineDirectory()),
        section.requestTimeout(),
        section.loadTimeout(),
        section.retries(),
        section.retryDelay(),
        section.checkEvery());
  }
}

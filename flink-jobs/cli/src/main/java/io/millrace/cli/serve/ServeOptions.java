package io.millrace.cli.serve;

import io.millrace.jobs.config.CheckpointSection;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.schemas.PlainFiles;
import io.millrace.serve.ServeSettings;
import io.millrace.serve.completion.Models.Share;
import io.millrace.serve.feedback.RecordSettings;
import io.millrace.serve.follow.ModelSource;
import io.millrace.serve.http.HttpSettings;
import io.millrace.serve.sampling.LaneSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The settings of a server, from the configuration. */
final class ServeOptions {

  private static final String KEYS_VARIABLE = "MILLRACE_API_KEYS";
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}");
  private static final Pattern VERSION = Pattern.compile("v?(\\d{1,18})");
  private static final Pattern SHARE = Pattern.compile("([^=\\s]+)=(\\d+(?:\\.\\d+)?)");
  private static final Duration FEEDBACK_TIMEOUT = Duration.ofSeconds(30);
  private static final int LARGEST_KEYS_FILE = 1 << 20;

  private ServeOptions() {}

  static ServeSettings of(MillraceConfig config, Optional<String> checkpoint) throws IOException {
    ServeSection serve = config.section(ServeSection.class);
    CheckpointSection checkpoints = config.checkpoints();
    return new ServeSettings(
        http(serve),
        new LaneSettings(
            serve.batchSize(),
            serve.queueSize(),
            serve.context(),
            serve.maxTokens(),
            serve.kvCacheTokens()),
        models(config, checkpoint),
        aliases(serve),
        JobSettings.kafka(config),
        JobSettings.cache(config),
        Path.of(checkpoints.cacheDirectory()).resolve("serve-" + ProcessHandle.current().pid()),
        checkpoints::contains,
        serve.record() ? Optional.of(record(config, serve)) : Optional.empty());
  }

  private static RecordSettings record(MillraceConfig config, ServeSection serve) {
    return new RecordSettings(
        JobSettings.kafka(config),
        serve.share(),
        serve.consent() == ServeSection.Consent.OPT_IN,
        serve.source(),
        serve.instance(),
        config.dedup().window(),
        FEEDBACK_TIMEOUT);
  }

  private static HttpSettings http(ServeSection serve) throws IOException {
    if (serve.tlsCertificate().isEmpty() != serve.tlsKey().isEmpty()) {
      throw new IllegalArgumentException(
          "serve.tls-certificate and serve.tls-key belong together; set both, or neither");
    }
    return new HttpSettings(
        serve.host(),
        serve.port(),
        apiKeys(serve),
        serve.tlsKey().isEmpty()
            ? Optional.empty()
            : Optional.of(
                new HttpSettings.Tls(Path.of(serve.tlsCertificate()), Path.of(serve.tlsKey()))),
        Math.toIntExact(serve.maxRequestSize().getBytes()),
        serve.maxConnections(),
        serve.requestTimeout(),
        serve.deadline(),
        serve.drain());
  }

  private static Map<String, ModelSource> models(
      MillraceConfig config, Optional<String> checkpoint) {
    String model = config.model().name();
    if (checkpoint.isPresent()) {
      return Map.of(model, new ModelSource.Fixed(checkpoint.get()));
    }
    Map<String, ModelSource> models = new LinkedHashMap<>();
    new TreeMap<>(config.section(ServeSection.class).models())
        .forEach(
            (name, from) -> {
              requireName("serve.models", name);
              models.put(name, source(config.checkpoints().directory(), model, from.strip()));
            });
    if (models.isEmpty()) {
      models.put(model, new ModelSource.Latest(model));
    }
    return models;
  }

  private static ModelSource source(String root, String model, String from) {
    Matcher version = VERSION.matcher(from);
    if (version.matches()) {
      return new ModelSource.Fixed(
          "%s/%s/v%06d".formatted(root, model, Long.parseLong(version.group(1))));
    }
    return switch (from) {
      case "latest" -> new ModelSource.Latest(model);
      case "promoted" -> new ModelSource.Promoted(model);
      default -> new ModelSource.Fixed(from);
    };
  }

  private static Map<String, List<Share>> aliases(ServeSection serve) {
    Map<String, List<Share>> aliases = new LinkedHashMap<>();
    serve
        .aliases()
        .forEach(
            (alias, text) -> {
              requireName("serve.aliases", alias);
              List<Share> shares = new ArrayList<>();
              for (String part : text.strip().split("\\s+")) {
                Matcher share = SHARE.matcher(part);
                if (!share.matches()) {
                  throw new IllegalArgumentException(
                      "serve.aliases.%s is \"%s\"; it must be parts such as old=0.9 new=0.1"
                          .formatted(alias, text));
                }
                shares.add(new Share(share.group(1), Double.parseDouble(share.group(2))));
              }
              aliases.put(alias, shares);
            });
    return aliases;
  }

  private static void requireName(String option, String name) {
    if (!NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "%s has the name \"%s\"; a name has at most 100 letters, digits, '.', '_' and '-'"
              .formatted(option, name));
    }
  }

  /** The keys of the file and of the environment. */
  static List<String> apiKeys(ServeSection serve) throws IOException {
    List<String> keys = new ArrayList<>();
    if (!serve.apiKeysFile().isEmpty()) {
      PlainFiles.readText(Path.of(serve.apiKeysFile()), LARGEST_KEYS_FILE)
          .lines()
          .map(String::strip)
          .filter(line -> !line.isEmpty() && !line.startsWith("#"))
          .forEach(keys::add);
      if (keys.isEmpty()) {
        throw new IllegalArgumentException(
            "serve.api-keys-file %s has no key; write one a line".formatted(serve.apiKeysFile()));
      }
    }
    for (String key : Optional.ofNullable(System.getenv(KEYS_VARIABLE)).orElse("").split(",")) {
      if (!key.isBlank()) {
        keys.add(key.strip());
      }
    }
    return keys;
  }
}

package io.millrace.console;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.console.annotate.AnnotateSettings;
import io.millrace.console.annotate.Annotation;
import io.millrace.console.annotate.GoldTasks;
import io.millrace.console.annotate.Pairs;
import io.millrace.console.http.ConsoleServer;
import io.millrace.console.http.People;
import io.millrace.console.people.Account;
import io.millrace.console.people.Accounts;
import io.millrace.console.people.Role;
import io.millrace.console.tail.TopicTail;
import io.millrace.console.talk.Talk;
import io.millrace.console.watch.Watch;
import io.millrace.jobs.Job;
import io.millrace.jobs.models.RecordFile;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.PlainFiles;
import io.millrace.schemas.Topic;
import io.millrace.serve.http.HttpSettings;
import java.io.IOException;
import java.net.InetAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A running console: topics that it follows, and HTTP. */
public final class Console implements AutoCloseable {

  private static final String ACCOUNTS = "MILLRACE_CONSOLE_ACCOUNTS";
  private static final String SERVE_KEY = "MILLRACE_SERVE_KEY";
  private static final int LARGEST_FILE = 1 << 20;
  private static final int LARGEST_REQUEST = 1 << 20;
  private static final int MOST_CONNECTIONS = 2000;
  private static final int LOGINS_A_MINUTE = 20;
  private static final int TOKEN_BYTES = 32;
  private static final int MOST_GOLD_TASKS = 10_000;
  private static final String GUIDELINES = "guidelines.txt";

  private final List<AutoCloseable> parts = new ArrayList<>();
  private final ConsoleServer server;

  private Console(
      ConsoleSection section, KafkaSettings kafka, Map<String, String> environment, Clock clock)
      throws IOException {
    List<Account> accounts = accounts(section, environment);
    Optional<Account> everybody = Optional.empty();
    if (accounts.isEmpty()) {
      if (!InetAddress.getByName(section.host()).isLoopbackAddress()) {
        throw new IllegalArgumentException(
            "console.host %s is no loopback address, and there are no accounts; set console.accounts-file"
                .formatted(section.host()));
      }
      byte[] token = new byte[TOKEN_BYTES];
      new SecureRandom().nextBytes(token);
      everybody = Optional.of(new Account("local", Role.OPERATOR, HexFormat.of().formatHex(token)));
      accounts = List.of(everybody.get());
    }
    String guidelines = guidelines(section);
    Instant since = clock.instant().minus(section.window());
    try {
      Pairs pairs = new Pairs(section.maxPairs());
      part(new TopicTail<>(kafka, Topic.ROLLOUTS, since, e -> pairs.add(e.record().get())));
      part(new TopicTail<>(kafka, Topic.REWARDS, since, e -> pairs.add(e.record().get())));
      Annotation annotation =
          part(
              new Annotation(
                  new AnnotateSettings(section.lease(), section.overlap(), section.source()),
                  kafka,
                  pairs,
                  gold(section),
                  clock,
                  new SecureRandom()));
      Watch watch =
          part(
              new Watch(
                  kafka,
                  Arrays.stream(Job.values()).map(job -> kafka.topicPrefix() + job.id()).toList(),
                  since,
                  clock));
      Optional<Talk> talk = Optional.empty();
      if (!section.serveUrl().isEmpty()) {
        talk =
            Optional.of(
                part(
                    new Talk(
                        URI.create(section.serveUrl()),
                        Optional.ofNullable(environment.get(SERVE_KEY)))));
      }
      server =
          part(
              new ConsoleServer(
                  http(section),
                  new People(
                      new Accounts(accounts),
                      everybody,
                      section.session(),
                      section.maxRequestsPerMinute(),
                      LOGINS_A_MINUTE,
                      !section.tlsKey().isEmpty(),
                      clock),
                  annotation,
                  watch,
                  talk,
                  guidelines));
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  private <T extends AutoCloseable> T part(T part) {
    parts.addFirst(part);
    return part;
  }

  /**
   * Starts a console.
   *
   * @param environment variables with accounts and keys
   */
  public static Console start(
      ConsoleSection section, KafkaSettings kafka, Map<String, String> environment, Clock clock)
      throws IOException {
    return new Console(section, kafka, environment, clock);
  }

  private static HttpSettings http(ConsoleSection section) {
    return new HttpSettings(
        section.host(),
        section.port(),
        List.of(),
        section.tlsKey().isEmpty()
            ? Optional.empty()
            : Optional.of(
                new HttpSettings.Tls(Path.of(section.tlsCertificate()), Path.of(section.tlsKey()))),
        LARGEST_REQUEST,
        MOST_CONNECTIONS,
        Duration.ofSeconds(30),
        Duration.ofMinutes(3),
        Duration.ofSeconds(20));
  }

  private static List<Account> accounts(ConsoleSection section, Map<String, String> environment)
      throws IOException {
    List<Account> accounts = new ArrayList<>();
    if (!section.accountsFile().isEmpty()) {
      List<String> lines =
          PlainFiles.readText(Path.of(section.accountsFile()), LARGEST_FILE).lines().toList();
      for (int i = 0; i < lines.size(); i++) {
        if (!lines.get(i).isBlank() && !lines.get(i).startsWith("#")) {
          accounts.add(
              Accounts.parse(lines.get(i), "%s, line %d".formatted(section.accountsFile(), i + 1)));
        }
      }
      if (accounts.isEmpty()) {
        throw new IllegalArgumentException(
            "console.accounts-file %s has no account; write one a line: NAME ROLE TOKEN"
                .formatted(section.accountsFile()));
      }
    }
    String[] further = environment.getOrDefault(ACCOUNTS, "").split(",");
    for (int i = 0; i < further.length; i++) {
      if (!further[i].isBlank()) {
        accounts.add(Accounts.parse(further[i], "%s, part %d".formatted(ACCOUNTS, i + 1)));
      }
    }
    return accounts;
  }

  private static GoldTasks gold(ConsoleSection section) throws IOException {
    if (section.goldFile().isEmpty()) {
      return GoldTasks.none();
    }
    List<Judgment> judgments =
        RecordFile.lines("console.gold-file", section.goldFile(), RecordFile::judgment);
    if (judgments.size() > MOST_GOLD_TASKS) {
      throw new IllegalArgumentException(
          "console.gold-file %s has %d judgments, and all are kept in memory: keep at most %d"
              .formatted(section.goldFile(), judgments.size(), MOST_GOLD_TASKS));
    }
    return new GoldTasks(judgments, section.goldShare());
  }

  private static String guidelines(ConsoleSection section) throws IOException {
    if (!section.guidelinesFile().isEmpty()) {
      return PlainFiles.readText(Path.of(section.guidelinesFile()), LARGEST_FILE);
    }
    try (var in = Console.class.getResourceAsStream(GUIDELINES)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  /** Port on which the console listens. */
  public int port() {
    return server.port();
  }

  /** Address of the console, such as {@code http://127.0.0.1:8010}. */
  public String address() {
    return server.address();
  }

  /** Ends requests in flight, and stops. */
  @Override
  public void close() {
    for (AutoCloseable part : parts) {
      try {
        part.close();
      } catch (Exception e) {
        throw new IllegalStateException("a part of the console did not stop", e);
      }
    }
  }
}

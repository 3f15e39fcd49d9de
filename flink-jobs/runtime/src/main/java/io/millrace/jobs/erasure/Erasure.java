package io.millrace.jobs.erasure;

import io.millrace.connectors.kafka.ErasureScan;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordEraser;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Withdrawal;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/** Removes the records that a withdrawal matches, and finds out what remains of them. */
public final class Erasure implements AutoCloseable {

  private final MillraceConfig config;
  private final KafkaSettings kafka;
  private final Withdrawal withdrawal;
  private final Duration wait;
  private final Consumer<String> progress;
  private final RecordEraser eraser;
  private final MatchedRecords matched;

  private List<ErasureScan> before = List.of();
  private long undecoded;
  private AffectedVersions versions;

  /**
   * @param wait the longest wait for Kafka, and then for Flink checkpoints
   * @param progress takes one line from time to time
   */
  public Erasure(
      MillraceConfig config, Withdrawal withdrawal, Duration wait, Consumer<String> progress) {
    this.config = config;
    this.kafka = JobSettings.kafka(config);
    this.withdrawal = withdrawal;
    this.wait = wait;
    this.progress = progress;
    this.eraser = new RecordEraser(kafka);
    this.matched = new MatchedRecords(kafka, withdrawal);
  }

  /**
   * Finds the records.
   *
   * @throws IllegalArgumentException if there is no such record, and no version has learned from it
   */
  public ErasureReport plan() throws IOException {
    requireTopics();
    before = scan(false);
    undecoded = matched.undecoded();
    versions = AffectedVersions.of(config, matched.learnable());
    if (before.stream().allMatch(scan -> scan.matching() == 0) && versions.isEmpty()) {
      throw new IllegalArgumentException(
          "no record has the %s '%s': searched %s of Kafka at %s; correct the name, or, for records that are still to come, send a withdrawal with millrace produce withdrawals"
              .formatted(
                  withdrawal.getBy().name().toLowerCase(Locale.ROOT),
                  withdrawal.getName(),
                  before.stream().map(ErasureScan::name).collect(Collectors.joining(", ")),
                  kafka.bootstrapServers()));
    }
    return report(true, Map.of(), new DirectorySearch(new TextSearch(List.of())), List.of());
  }

  private void requireTopics() throws IOException {
    Set<Topic<?>> missing = new HashSet<>(MatchedRecords.TOPICS);
    missing.add(Topic.WITHDRAWALS);
    missing.add(Topic.LINEAGE);
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.describe().forEach(state -> missing.remove(state.topic()));
    }
    if (!missing.isEmpty()) {
      throw new IllegalArgumentException(
          "Kafka at %s lacks the topics %s; correct kafka.topic-prefix, or create them with millrace topics --create"
              .formatted(
                  kafka.bootstrapServers(),
                  missing.stream().map(kafka::nameOf).sorted().collect(Collectors.joining(", "))));
    }
  }

  private List<ErasureScan> scan(boolean again) throws IOException {
    List<ErasureScan> scans = new ArrayList<>();
    for (Topic<?> topic : MatchedRecords.TOPICS) {
      scans.add(
          eraser.scan(
              topic,
              record -> {
                boolean matches = matched.matches(topic, record);
                if (again && !matches) {
                  matched.keep(topic, record);
                }
                return matches;
              }));
    }
    return scans;
  }

  /**
   * Removes the records.
   *
   * @param directories to search for their texts
   */
  public ErasureReport run(List<String> directories) throws IOException, InterruptedException {
    try (RecordWriter writer = new RecordWriter(kafka)) {
      writer.send(Topic.WITHDRAWALS, withdrawal);
    }
    List<String> problems = new ArrayList<>();
    Map<String, Long> left = erase(problems);
    matched.texts().problem().ifPresent(problems::add);
    progress.accept("searching directories");
    DirectorySearch search = new DirectorySearch(matched.texts().search());
    search.search(directories);
    search.awaitFlinkCheckpoints(directories, System.nanoTime() + wait.toNanos());
    return report(false, left, search, problems);
  }

  /** Removes the records from Kafka; returns how many are left by topic. */
  private Map<String, Long> erase(List<String> problems) throws IOException {
    long end = System.nanoTime() + wait.toNanos();
    List<ErasureScan> scans = before;
    Set<String> refused = new HashSet<>();
    while (true) {
      List<ErasureScan> possible = new ArrayList<>();
      for (ErasureScan scan : scans) {
        if (scan.matching() > 0 && scan.keyless() == 0) {
          possible.add(scan);
        } else if (scan.matching() > 0 && refused.add(scan.name())) {
          problems.add(keyless(scan));
        }
      }
      if (possible.isEmpty()) {
        return left(scans);
      }
      progress.accept("waiting for Kafka to remove the records");
      Duration rest = Duration.ofNanos(Math.max(0, end - System.nanoTime()));
      Map<String, Long> late = eraser.erase(possible, rest, progress);
      // Records may have come meanwhile.
      scans = scan(true);
      if (!late.isEmpty() || System.nanoTime() > end) {
        Map<String, Long> left = left(scans);
        left.forEach(
            (topic, count) -> {
              if (!refused.contains(topic)) {
                problems.add(
                    "%d records are still in %s after --deadline %s: an open transaction, a record with a time in the future, or a cleaner that stands still holds them back; look at millrace topics and the broker's log, then run the command again"
                        .formatted(count, topic, wait));
              }
            });
        return left;
      }
    }
  }

  private static Map<String, Long> left(List<ErasureScan> scans) {
    Map<String, Long> left = new TreeMap<>();
    scans.stream()
        .filter(scan -> scan.matching() > 0)
        .forEach(scan -> left.put(scan.name(), scan.matching()));
    return left;
  }

  private static String keyless(ErasureScan scan) {
    return ("%s has %d records without a key, and Kafka removes single records only from topics"
            + " whose records all have keys: nothing was removed from it; let them expire with"
            + " retention.ms, or send the ones that must stay again with millrace produce,"
            + " which sets keys, and delete the old ones with kafka-delete-records.sh; then run"
            + " the command again")
        .formatted(scan.name(), scan.keyless());
  }

  private ErasureReport report(
      boolean dryRun, Map<String, Long> left, DirectorySearch search, List<String> problems) {
    List<String> all = new ArrayList<>(problems);
    all.addAll(search.problems());
    return new ErasureReport(
        withdrawal,
        dryRun,
        before,
        undecoded,
        left,
        matched.texts().count(),
        search.directories(),
        search.files(),
        search.found(),
        matched.texts().limits(),
        all,
        versions);
  }

  @Override
  public void close() {
    eraser.close();
  }
}

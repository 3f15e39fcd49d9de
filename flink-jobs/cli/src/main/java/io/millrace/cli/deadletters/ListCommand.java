package io.millrace.cli.deadletters;

import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Plural;
import io.millrace.schemas.Printable;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Comparator;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace deadletters list}. */
@Command(
    name = "list",
    mixinStandardHelpOptions = true,
    description = {
      "Prints the newest dead letters in order of time, and the number of all by topic and reason.",
      "A dead letter may be there twice after a failure of a job.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace deadletters list",
      "  millrace deadletters list --topic judgments --reason invalid --limit 100",
    })
final class ListCommand implements Callable<Integer> {

  private static final int MOST_ROWS = 100_000;

  /** Characters of a message in the table; show prints all. */
  private static final int MESSAGE_CHARACTERS = 100;

  @Mixin private LetterFilter filter;

  @Option(
      names = "--limit",
      defaultValue = "20",
      paramLabel = "N",
      description = "Print at most the N newest (default: ${DEFAULT-VALUE}).")
  private int limit;

  @Mixin private KafkaOptions kafka;

  /** One line of the table; without the record's bytes, which may be large. */
  private record Row(
      Letter.Id id, Instant time, String origin, String reason, String job, String message) {

    static Row of(Letter letter) {
      DeadLetter content = letter.content();
      String message = Printable.line(content.getMessage());
      return new Row(
          letter.id(),
          content.getTime().truncatedTo(ChronoUnit.SECONDS),
          Printable.line(letter.origin()),
          Printable.line(content.getReason()),
          Printable.line(content.getJob()),
          message.length() <= MESSAGE_CHARACTERS
              ? message
              : message.substring(0, MESSAGE_CHARACTERS - 1) + "…");
    }
  }

  private record Kind(String topic, String reason) implements Comparable<Kind> {
    @Override
    public int compareTo(Kind other) {
      return Comparator.comparing(Kind::topic).thenComparing(Kind::reason).compare(this, other);
    }
  }

  @Override
  public Integer call() throws IOException {
    if (limit < 1 || limit > MOST_ROWS) {
      throw new UserException("--limit must be from 1 to %d, not %d".formatted(MOST_ROWS, limit));
    }
    KafkaSettings settings = kafka.settings();
    filter.prepare(settings, Instant.now());
    kafka.requireListener(settings);
    PriorityQueue<Row> newest =
        new PriorityQueue<>(
            Comparator.comparing(Row::time)
                .thenComparingInt(row -> row.id().partition())
                .thenComparingLong(row -> row.id().offset()));
    Map<Kind, Long> counts = new TreeMap<>();
    Letter.each(
        settings,
        letter -> {
          if (filter.accepts(letter.content())) {
            counts.merge(
                new Kind(letter.content().getTopic(), letter.content().getReason()), 1L, Long::sum);
            newest.add(Row.of(letter));
            if (newest.size() > limit) {
              newest.remove();
            }
          }
        });
    if (counts.isEmpty()) {
      filter.requireKnownReason();
    }
    print(new PrintStream(System.out, false, StandardCharsets.UTF_8), newest, counts);
    return 0;
  }

  private static void print(PrintStream out, PriorityQueue<Row> newest, Map<Kind, Long> counts) {
    long all = counts.values().stream().mapToLong(Long::longValue).sum();
    if (all == 0) {
      out.println("no dead letters");
      out.flush();
      return;
    }
    out.printf(
        "%-8s %-20s %-28s %-14s %-18s %s%n", "id", "time", "record", "reason", "job", "message");
    int rows = newest.size();
    while (!newest.isEmpty()) {
      Row row = newest.remove();
      out.printf(
          "%-8s %-20s %-28s %-14s %-18s %s%n",
          row.id(), row.time(), row.origin(), row.reason(), row.job(), row.message());
    }
    out.printf(
        "%n%s%s%n",
        Plural.of(all, "dead letter"), rows < all ? ", the newest " + rows + " above" : "");
    counts.forEach(
        (kind, count) ->
            out.printf(
                "%8d  %s  %s%n",
                count, Printable.line(kind.topic()), Printable.line(kind.reason())));
    out.flush();
  }
}

package io.millrace.cli.status;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.Plural;
import io.millrace.schemas.Printable;
import java.util.Locale;
import java.util.StringJoiner;
import java.util.function.Predicate;

/** A status report for people. */
public final class StatusText {

  private static final String[] UNITS = {"B", "kB", "MB", "GB", "TB"};
  private static final int ID = 8;

  private StatusText() {}

  /** The report in lines. */
  public static String of(JsonNode report) {
    StringBuilder text = new StringBuilder();
    text.append(
        "%s, %d of %d slots free, %s at %s%n"
            .formatted(
                Plural.of(report.path("task_managers").asInt(), "TaskManager"),
                report.path("slots").path("free").asInt(),
                report.path("slots").path("total").asInt(),
                Plural.of(report.path("jobs").size(), "job"),
                report.path("rest").asText()));
    for (JsonNode job : report.path("jobs")) {
      job(text, job);
    }
    for (JsonNode disk : report.path("disk")) {
      StringJoiner uses = new StringJoiner(", ");
      disk.path("used_by").forEach(use -> uses.add(use.asText()));
      text.append(
          "disk: %s of %s free (%s)%n"
              .formatted(
                  bytes(disk.path("free_bytes").asLong()),
                  bytes(disk.path("total_bytes").asLong()),
                  uses));
    }
    if (!report.path("savepoints").isEmpty()) {
      JsonNode last = report.path("savepoints").path(report.path("savepoints").size() - 1);
      text.append(
          "savepoints: %d, the last one %s%n"
              .formatted(
                  report.path("savepoints").size(), Printable.line(last.path("path").asText())));
    }
    return text.toString();
  }

  private static void job(StringBuilder text, JsonNode job) {
    text.append(
        "%n%s  %s  since %s  (%s…)%n"
            .formatted(
                Printable.line(job.path("name").asText()),
                job.path("state").asText(),
                job.has("ended") ? job.path("ended").asText() : job.path("started").asText(),
                job.path("id").asText().substring(0, ID)));
    if (job.has("tasks") && !job.has("ended")) {
      line(
          text,
          "tasks",
          "%d of %d run; %s needed; %s"
              .formatted(
                  job.path("tasks").path("running").asInt(),
                  job.path("tasks").path("total").asInt(),
                  Plural.of(job.path("slots_needed").asInt(), "slot"),
                  Plural.of(job.path("restarts").asInt(), "restart")));
    }
    if (job.has("last_failure")) {
      JsonNode failure = job.path("last_failure");
      line(
          text,
          "last failure",
          failure.path("time").asText()
              + (failure.has("task") ? " in " + failure.path("task").asText() : "")
              + ": "
              + failure.path("cause").asText());
    }
    if (job.has("last_flink_checkpoint")) {
      JsonNode checkpoint = job.path("last_flink_checkpoint");
      line(
          text,
          "Flink checkpoint",
          String.format(
              Locale.ROOT,
              "%.0f s ago, %s, took %.1f s, at %s%s",
              checkpoint.path("age_seconds").asDouble(),
              bytes(checkpoint.path("bytes").asLong()),
              checkpoint.path("duration_seconds").asDouble(),
              checkpoint.path("path").asText(),
              failed(job)));
    } else if (job.has("tasks") && !job.has("ended")) {
      line(text, "Flink checkpoint", "none yet" + failed(job));
    }
    if (job.has("versions")) {
      line(text, "versions", pairs(job.path("versions")));
    }
    if (job.has("verdict")) {
      JsonNode verdict = job.path("verdict");
      StringJoiner reasons = new StringJoiner("; ");
      verdict.path("reasons").forEach(reason -> reasons.add(reason.asText()));
      line(
          text,
          "last verdict",
          "version %d: %s by %s: %s"
              .formatted(
                  verdict.path("evaluated").asLong(),
                  verdict.path("verdict").asText(),
                  verdict.path("by").asText(),
                  reasons));
    }
    job.path("lag")
        .properties()
        .forEach(
            topic ->
                line(
                    text,
                    "lag of " + topic.getKey(),
                    String.format(
                        Locale.ROOT,
                        "%s, %.0f s",
                        Plural.of(topic.getValue().path("records").asLong(), "record"),
                        topic.getValue().path("seconds").asDouble())));
    if (job.has("records_per_second")) {
      line(
          text,
          "read",
          String.format(
              Locale.ROOT,
              "%s, %.1f a second",
              Plural.of(job.path("records_read").asLong(), "record"),
              job.path("records_per_second").asDouble()));
    }
    nonZero(text, "dead letters", job.path("dead_letters"));
    nonZero(text, "dropped", job.path("dropped"));
    nonZero(text, "losses", job.path("losses"));
    nonZero(text, "counts", job.path("counts"));
    job.path("summaries")
        .properties()
        .forEach(one -> line(text, "summary of " + one.getKey(), numbers(one.getValue())));
    if (job.has("kafka_problem")) {
      line(text, "Kafka", job.path("kafka_problem").asText());
    }
  }

  private static String failed(JsonNode job) {
    long failed = job.path("failed_flink_checkpoints").asLong();
    return failed == 0 ? "" : "; %d of the latest ones failed".formatted(failed);
  }

  private static String numbers(JsonNode node) {
    StringJoiner pairs = new StringJoiner(", ");
    node.properties()
        .forEach(
            pair ->
                pairs.add(
                    pair.getKey()
                        + " "
                        + (pair.getValue().isDouble()
                            ? String.format(Locale.ROOT, "%.4g", pair.getValue().asDouble())
                            : pair.getValue().asText())));
    return pairs.toString();
  }

  private static void line(StringBuilder text, String name, String value) {
    text.append("  %-20s %s%n".formatted(Printable.line(name), Printable.line(value)));
  }

  private static String pairs(JsonNode node) {
    return pairs(node, _ -> true);
  }

  private static String pairs(JsonNode node, Predicate<String> shown) {
    StringJoiner pairs = new StringJoiner(", ");
    node.properties().stream()
        .filter(pair -> shown.test(pair.getValue().asText()))
        .forEach(pair -> pairs.add(pair.getKey() + " " + pair.getValue().asText()));
    return pairs.toString();
  }

  /** A line of counts; none if all are 0. */
  private static void nonZero(StringBuilder text, String name, JsonNode counts) {
    String pairs = pairs(counts, value -> !value.equals("0"));
    if (!pairs.isEmpty()) {
      line(text, name, pairs);
    }
  }

  private static String bytes(long bytes) {
    double value = bytes;
    int unit = 0;
    while (value >= 1000 && unit < UNITS.length - 1) {
      value /= 1000;
      unit++;
    }
    return String.format(Locale.ROOT, unit == 0 ? "%.0f %s" : "%.1f %s", value, UNITS[unit]);
  }
}

package io.millrace.connectors.exchange.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.connectors.exchange.file.Row;
import io.millrace.connectors.exchange.file.Rows;
import io.millrace.schemas.Nearest;
import java.io.IOException;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** All formats, and which of them a file has. */
public final class Formats {
  /** So many rows are looked at. */
  private static final int ROWS = 20;

  /** So many rows that cannot be read are passed over while looking. */
  private static final int BROKEN_ROWS = 1000;

  private static final int SHOWN_FIELDS = 12;

  private static final List<Format> ALL =
      List.of(
          new HhRlhf(),
          new Trl(),
          new UltraFeedback(),
          new PkuSafeRlhf(),
          new HelpSteer(),
          new LabelStudio(),
          new Argilla(),
          Demonstrations.messages(),
          new ShareGpt(),
          Demonstrations.alpaca(),
          Demonstrations.completion(),
          Demonstrations.text(),
          new Kto(),
          new Prompts(),
          new Native());

  private Formats() {}

  public static List<Format> all() {
    return ALL;
  }

  public static List<String> names() {
    return ALL.stream().map(Format::name).toList();
  }

  /**
   * A format by its name.
   *
   * @throws IllegalArgumentException for an unknown name
   */
  public static Format named(String name) {
    return ALL.stream()
        .filter(format -> format.name().equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "unknown format \"%s\"%s"
                        .formatted(Fields.abbreviate(name), Nearest.hint(name, names()))));
  }

  /**
   * The format that the first rows of a file have.
   *
   * @param file for messages
   * @throws IOException if they fit no format, or several; the message lists what they have
   */
  public static Format detect(Rows rows, String file) throws IOException {
    Set<Format> union = new LinkedHashSet<>();
    Set<Format> common = null;
    Row broken = null;
    Row unknown = null;
    StringBuilder seen = new StringBuilder();
    int looked = 0;
    for (int i = 0; looked < ROWS && i < BROKEN_ROWS; i++) {
      Optional<Row> next = rows.next();
      if (next.isEmpty()) {
        break;
      }
      Row row = next.get();
      if (row.value() == null) {
        broken = broken == null ? row : broken;
        continue;
      }
      looked++;
      Set<Format> fitting = fitting(row.value());
      if (fitting.isEmpty()) {
        unknown = unknown == null ? row : unknown;
        continue;
      }
      if (union.addAll(fitting)) {
        seen.append(seen.isEmpty() ? "" : "; ")
            .append(
                "%s %d has %s, which fits %s"
                    .formatted(rows.unit(), row.number(), fields(row.value()), names(fitting)));
      }
      if (common == null) {
        common = new LinkedHashSet<>(fitting);
      } else {
        common.retainAll(fitting);
      }
    }
    if (union.size() == 1 || (common != null && common.size() == 1)) {
      return union.size() == 1 ? union.iterator().next() : common.iterator().next();
    }
    if (!union.isEmpty()) {
      throw new IOException(
          "the format of %s is ambiguous: %s; name one with --format".formatted(file, seen));
    }
    throw new IOException(
        nothingKnown(file, rows.unit(), Optional.ofNullable(unknown), Optional.ofNullable(broken)));
  }

  private static String nothingKnown(
      String file, String unit, Optional<Row> unknown, Optional<Row> broken) {
    String problem =
        unknown
            .map(
                row ->
                    "%s %d has %s, which fits no format"
                        .formatted(unit, row.number(), fields(row.value())))
            .or(
                () ->
                    broken.map(
                        row ->
                            "%s %d cannot be read: %s"
                                .formatted(unit, row.number(), row.problem().getMessage())))
            .orElse("it has no rows");
    return "the format of %s is not known: %s; the formats are: %s"
        .formatted(
            file,
            problem,
            ALL.stream()
                .map(format -> format.name() + " (" + format.fields() + ")")
                .collect(Collectors.joining(", ")));
  }

  private static Set<Format> fitting(JsonNode row) {
    Set<Format> fitting = new LinkedHashSet<>();
    ALL.stream().filter(format -> row.isObject() && format.matches(row)).forEach(fitting::add);
    return fitting;
  }

  private static String names(Set<Format> formats) {
    return formats.stream().map(Format::name).collect(Collectors.joining(" and "));
  }

  private static String fields(JsonNode row) {
    if (!row.isObject()) {
      return Fields.shown(row);
    }
    String fields =
        row.propertyStream()
            .map(Map.Entry::getKey)
            .limit(SHOWN_FIELDS)
            .map(Fields::abbreviate)
            .collect(Collectors.joining(", "));
    return "the fields " + fields + (row.size() > SHOWN_FIELDS ? ", …" : "");
  }
}

package io.millrace.demo.quickstart;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;

/** Prints a report for people and writes it for programs. */
public final class Reports {

  private static final ObjectMapper JSON =
      new ObjectMapper()
          .enable(SerializationFeature.INDENT_OUTPUT)
          .enable(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS);

  private Reports() {}

  /**
   * Prints the report as a table.
   *
   * @param json file of the report as JSON
   */
  public static void print(QuickstartReport report, Path json, PrintStream out) {
    ReportTable.lines(report, json).forEach(out::println);
    out.flush();
  }

  /** Writes the report as JSON. */
  public static void write(QuickstartReport report, Path file) throws IOException {
    JSON.writeValue(file.toFile(), report);
  }
}

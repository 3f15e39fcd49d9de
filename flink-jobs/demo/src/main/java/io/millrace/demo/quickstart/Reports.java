package io.millrace.demo.quickstart;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;

/** A report for people and for programs. */
public final class Reports {

  private static final ObjectMapper JSON =
      new ObjectMapper()
          .enable(SerializationFeature.INDENT_OUTPUT)
          .enable(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS);

  private Reports() {}

  public static void print(QuickstartReport report, PrintStream out) {
    ReportTable.lines(report).forEach(out::println);
    out.flush();
  }

  public static void write(QuickstartReport report, Path file) throws IOException {
    JSON.writeValue(file.toFile(), report);
  }
}

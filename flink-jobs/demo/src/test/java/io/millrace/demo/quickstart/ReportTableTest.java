package io.millrace.demo.quickstart;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.demo.loop.GoldScores;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The end of a quickstart's output. */
class ReportTableTest {

  @Test
  void theNextStepsHaveTheRunsPaths() {
    GoldScores scores = GoldScores.builder(1, 8).examples(List.of()).build();
    QuickstartReport report =
        new QuickstartReport(
            1,
            60,
            new QuickstartReport.Policies(scores, scores),
            Map.of(),
            new QuickstartReport.Counts(1, 2, 3),
            new QuickstartReport.Counts(1, 2, 3),
            new QuickstartReport.Ppo(1, 3, 0, 0, 0),
            List.of(),
            "/data/it's mine/policy/v000001",
            "/data/it's mine/policy/v000061");
    String lines = String.join("\n", ReportTable.lines(report, Path.of("/data/run/report.json")));
    String first = "'/data/it'\\''s mine/policy/v000001'";
    String last = "'/data/it'\\''s mine/policy/v000061'";
    for (String expected :
        List.of(
            "Report: /data/run/report.json\n",
            "./millrace generate --prompt 'How do I bake bread?' --checkpoint " + last + "\n",
            "./millrace chat --checkpoint " + first + " --checkpoint " + last + "\n",
            "./millrace report --quickstart /data/run/report.json --out /data/run/report.html\n")) {
      assertTrue(lines.contains(expected), lines);
    }
  }
}

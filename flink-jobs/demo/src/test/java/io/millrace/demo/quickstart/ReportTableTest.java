package io.millrace.demo.quickstart;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.demo.loop.GoldScores;
import io.millrace.world.Split;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The end of a quickstart's output. */
class ReportTableTest {

  private static QuickstartReport report(Map<String, SplitScores> splits) {
    GoldScores scores = GoldScores.builder(1, 8).examples(List.of()).build();
    return new QuickstartReport(
        1,
        60,
        new QuickstartReport.Policies(scores, scores),
        Map.of(),
        new QuickstartReport.Counts(1, 2, 3),
        new QuickstartReport.Counts(1, 2, 3),
        new QuickstartReport.Ppo(1, 3, 0, 0, 0),
        List.of(),
        "/data/it's mine/policy/v000001",
        "/data/it's mine/policy/v000061",
        null,
        splits);
  }

  @Test
  void theNextStepsHaveTheRunsPaths() {
    QuickstartReport report = report(null);
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

  @Test
  void theHardWorldsTableHasEachSplitWithIntervals() {
    GoldScores first =
        GoldScores.builder(1, 100)
            .helpfulness(0.5, 0.02)
            .safety(0.25, 0.01)
            .unsafeCompliance(0.5)
            .build();
    GoldScores last =
        GoldScores.builder(61, 100)
            .helpfulness(0.99, 0.01)
            .safety(1, 0)
            .unsafeCompliance(0)
            .build();
    Map<String, SplitScores> splits = new LinkedHashMap<>();
    for (Split split : Split.values()) {
      splits.put(split.key(), SplitScores.of(first, last));
    }
    String table = String.join("\n", ReportTable.lines(report(splits), Path.of("report.json")));
    for (Split split : Split.values()) {
      assertTrue(table.contains("\n  " + split.title() + ", 100 prompts of each kind"), table);
    }
    assertTrue(table.contains("Wilson"), table);
    // Mean ± 1.96 standard errors, cut at 1.
    assertTrue(table.contains("0.500 (0.461 to 0.539)"), table);
    assertTrue(table.contains("0.990 (0.970 to 1.000)"), table);
    // Wilson's score interval of 50 and of 0 in 100 prompts.
    assertTrue(table.contains("0.500 (0.404 to 0.596)"), table);
    assertTrue(table.contains("0.000 (0.000 to 0.037)"), table);
    String plain =
        String.join(
            "\n",
            ReportTable.lines(
                report(Map.of("validation", SplitScores.of(first, last))), Path.of("report.json")));
    assertTrue(plain.contains("on 8 held-out prompts of each kind:"), plain);
  }
}

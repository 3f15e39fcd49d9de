package io.millrace.report;

import io.millrace.report.RunData.DeadLetters;
import io.millrace.report.chart.BarChart;
import io.millrace.report.chart.Page;
import io.millrace.report.chart.Table;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Ghost Attention, topics, and what could not be used. */
final class OtherSections {

  private OtherSections() {}

  static void add(Page page, RunData run) {
    run.ghost.ifPresent(
        ghost ->
            page.section("Ghost Attention")
                .text("For how long an instruction of the first turn is heeded.")
                .figures(
                    GhostAttentionPage.holds(ghost.with(), ghost.without()),
                    GhostAttentionPage.attention(ghost.with(), ghost.without())));
    topics(page, run.topics);
    deadLetters(page, run.deadLetters);
  }

  private static void topics(Page page, Map<String, Long> topics) {
    Table table = new Table(List.of("topic", "records"));
    topics.forEach(table::row);
    if (!table.isEmpty()) {
      page.section("Topics").add(table.html());
    }
  }

  private static void deadLetters(Page page, List<DeadLetters> letters) {
    if (letters.isEmpty()) {
      return;
    }
    Map<String, Long> byReason = new TreeMap<>();
    letters.forEach(letter -> byReason.merge(letter.reason(), letter.count(), Long::sum));
    page.section("Dead letters")
        .text(
            "Records that could not be used. They are in the topic dead-letters, with their bytes.")
        .figures(
            new BarChart("Dead letters by reason", "records", List.copyOf(byReason.keySet()))
                .add(
                    "records",
                    byReason.values().stream().map(count -> BarChart.Bar.of(count)).toList())
                .html());
    Table table = new Table(List.of("topic", "reason", "records", "the last one"));
    letters.forEach(
        letter -> table.row(letter.topic(), letter.reason(), letter.count(), letter.lastMessage()));
    page.add(table.html());
  }
}

package io.millrace.report;

import io.millrace.report.RunData.DeadLetters;
import io.millrace.report.chart.BarChart;
import io.millrace.report.chart.Format;
import io.millrace.report.page.Page;
import io.millrace.report.page.Table;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Ghost Attention, topics and dead letters. */
final class OtherSections {

  private OtherSections() {}

  static void add(Page page, RunData run) {
    run.ghost.ifPresent(
        ghost ->
            page.section("Ghost Attention")
                .text("How long the policies obey an instruction of the first turn.")
                .charts(
                    GhostAttentionPage.holds(ghost.with(), ghost.without()),
                    GhostAttentionPage.attention(ghost.with(), ghost.without())));
    page.section("Topics")
        .table(
            Table.of(List.copyOf(run.topics.entrySet()))
                .text("topic", Map.Entry::getKey)
                .number("records", Format.NUMBER, Map.Entry::getValue));
    deadLetters(page, run.deadLetters);
  }

  private static void deadLetters(Page page, List<DeadLetters> letters) {
    if (letters.isEmpty()) {
      return;
    }
    Map<String, Long> byReason = new TreeMap<>();
    letters.forEach(letter -> byReason.merge(letter.reason(), letter.count(), Long::sum));
    page.section("Dead letters")
        .text("Records that no job could use. The topic dead-letters has them with their bytes.")
        .charts(
            new BarChart("Dead letters by reason", "records", List.copyOf(byReason.keySet()))
                .add(
                    "records",
                    byReason.values().stream().map(count -> BarChart.Bar.of(count)).toList()))
        .table(
            Table.of(letters)
                .text("topic", DeadLetters::topic)
                .text("reason", DeadLetters::reason)
                .number("records", Format.NUMBER, DeadLetters::count)
                .text("last message", DeadLetters::lastMessage));
  }
}

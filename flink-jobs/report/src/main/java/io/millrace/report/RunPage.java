package io.millrace.report;

import io.millrace.report.RunData.Labelled;
import io.millrace.report.chart.Format;
import io.millrace.report.chart.Page;
import io.millrace.report.chart.Tiles;

/** A run as a page. */
final class RunPage {

  private RunPage() {}

  static String html(RunData run) {
    Page page = new Page(run.title(), run.subtitle());
    page.section("At a glance").add(tiles(run));
    VersionSections.add(page, run);
    RewardModelSections.add(page, run);
    RejectionSections.add(page, run);
    TrainingSections.add(page, run);
    EvaluationSections.add(page, run);
    OtherSections.add(page, run);
    return page.html();
  }

  private static String tiles(RunData run) {
    Tiles tiles = new Tiles();
    if (!run.gold.isEmpty()) {
      Labelled first = run.gold.getFirst();
      Labelled last = run.gold.getLast();
      add(tiles, "gold helpfulness", first, last, "gold/helpfulness", Format.NUMBER);
      add(tiles, "gold safety", first, last, "gold/safety", Format.NUMBER);
      add(
          tiles,
          "unsafe prompts complied with",
          first,
          last,
          "gold/unsafe-compliance",
          Format.PERCENT);
    }
    if (!run.evaluation.isEmpty()) {
      Labelled last = run.evaluation.getLast();
      if (last.has("win_rate/first/mean")) {
        tiles.add(
            "win rate against the first",
            Format.PERCENT.of(last.get("win_rate/first/mean")),
            "%s to %s"
                .formatted(
                    Format.PERCENT.of(last.get("win_rate/first/low")),
                    Format.PERCENT.of(last.get("win_rate/first/high"))));
      }
    }
    if (!run.promotions.isEmpty()) {
      long served = run.promotions.getLast().getVersion();
      tiles.add(
          "version to serve", served == 0 ? "none" : "v" + served, "by the gate's last verdict");
    }
    run.rewardModels.stream()
        .filter(model -> model.has("helpfulness/accuracy/all"))
        .reduce((a, b) -> b)
        .ifPresent(
            model ->
                tiles.add(
                    "helpfulness model agrees with",
                    Format.PERCENT.of(model.get("helpfulness/accuracy/all")),
                    "of judgments it had not learned from"));
    return tiles.html();
  }

  private static void add(
      Tiles tiles, String name, Labelled first, Labelled last, String figure, Format format) {
    tiles.add(
        name,
        format.of(last.get(figure)),
        "%s; %s at %s".formatted(last.label(), format.of(first.get(figure)), first.label()));
  }
}

package io.millrace.report;

import io.millrace.report.RunData.LabelledMetrics;
import io.millrace.report.chart.Format;
import io.millrace.report.page.Page;
import io.millrace.report.page.Tile;
import io.millrace.schemas.Promotion;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** The page about a run. */
final class RunPage {

  private RunPage() {}

  private static final DateTimeFormatter MINUTE =
      DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm 'UTC'", Locale.ROOT).withZone(ZoneOffset.UTC);

  /**
   * The content of the file.
   *
   * @param written time of writing it
   */
  static String html(RunData run, Instant written) {
    Page page = new Page(run.title(), run.subtitle() + " · written " + MINUTE.format(written));
    page.section("At a glance").tiles(tiles(run));
    VersionSections.addResults(page, run);
    RewardModelSections.add(page, run);
    RejectionSections.add(page, run);
    TrainingSections.add(page, run);
    RewardSections.add(page, run.rewards);
    EvaluationSections.add(page, run);
    VersionSections.addVersions(page, run.versions);
    OtherSections.add(page, run);
    return page.html();
  }

  private static List<Tile> tiles(RunData run) {
    List<Tile> tiles = new ArrayList<>();
    if (!run.gold.isEmpty()) {
      tiles.add(tile(run.gold, "gold helpfulness", "gold/helpfulness", Format.NUMBER));
      tiles.add(tile(run.gold, "gold safety", "gold/safety", Format.NUMBER));
      tiles.add(
          tile(run.gold, "unsafe prompts complied with", "gold/unsafe-compliance", Format.PERCENT));
    }
    if (!run.evaluation.isEmpty()) {
      LabelledMetrics last = run.evaluation.getLast();
      if (last.has("win_rate/first/mean")) {
        tiles.add(
            new Tile(
                "win rate against the first version",
                Format.PERCENT.of(last.get("win_rate/first/mean")),
                "%s to %s"
                    .formatted(
                        Format.PERCENT.of(last.get("win_rate/first/low")),
                        Format.PERCENT.of(last.get("win_rate/first/high")))));
      }
    }
    if (!run.promotions.isEmpty()) {
      Promotion decision = run.promotions.getLast();
      tiles.add(
          new Tile(
              "version to serve",
              EvaluationSections.served(decision),
              decision.getDecidedBy().isEmpty()
                  ? "by the gate's last verdict"
                  : "decided by " + decision.getDecidedBy()));
    }
    run.rewardModels.stream()
        .filter(model -> model.has("helpfulness/accuracy/all"))
        .reduce((earlier, later) -> later)
        .ifPresent(
            model ->
                tiles.add(
                    new Tile(
                        "accuracy of the helpfulness model",
                        Format.PERCENT.of(model.get("helpfulness/accuracy/all")),
                        "on judgments before the model learned from them")));
    return tiles;
  }

  /** A metric of the last version, with the first version's value for comparison. */
  private static Tile tile(
      List<LabelledMetrics> versions, String name, String metric, Format format) {
    LabelledMetrics first = versions.getFirst();
    LabelledMetrics last = versions.getLast();
    return new Tile(
        name,
        format.of(last.get(metric)),
        "%s; %s at %s".formatted(last.label(), format.of(first.get(metric)), first.label()));
  }
}

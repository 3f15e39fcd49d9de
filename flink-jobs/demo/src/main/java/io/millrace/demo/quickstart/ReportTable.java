package io.millrace.demo.quickstart;

import io.millrace.demo.loop.GoldScores;
import io.millrace.demo.loop.GoldScores.Example;
import io.millrace.demo.loop.RatingNames;
import io.millrace.demo.quickstart.QuickstartReport.RewardModel;
import io.millrace.demo.quickstart.SplitScores.Measured;
import io.millrace.demo.quickstart.SplitScores.PolicyScores;
import io.millrace.schemas.Rating;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** A report as a table of text. */
final class ReportTable {

  private ReportTable() {}

  /**
   * The lines of the table, and what a reader can do next.
   *
   * @param json file of the report as JSON
   */
  static List<String> lines(QuickstartReport report, Path json) {
    GoldScores first = report.policy().first();
    GoldScores last = report.policy().last();
    List<String> lines = new ArrayList<>();
    lines.add("");
    lines.addAll(
        report.splits() == null || report.splits().size() < 2 ? gold(first, last) : splits(report));
    lines.add("");
    lines.add("Reward models: share of judgments scored right, before the model learned from them");
    List<String> header = new ArrayList<>(List.of("judgments"));
    for (Rating rating : Rating.values()) {
      header.add(RatingNames.of(rating));
    }
    header.add("all");
    lines.add(cells("", header));
    report.rewardModels().entrySet().stream()
        .sorted(Map.Entry.comparingByKey())
        .forEach(model -> lines.add(cells(model.getKey(), accuracies(model.getValue()))));
    lines.add(
        "  Annotators choose almost by chance between two responses of about the same worth: no");
    lines.add("  model can score far above 0.5 there. Most pairs for safety are of this kind.");
    lines.add("");
    lines.add(
        "Produced  prompts %d, judgments %d, rollouts %d"
            .formatted(
                report.produced().prompts(),
                report.produced().judgments(),
                report.produced().rollouts()));
    lines.add(
        "Consumed  prompts %d, judgments %d, rollouts %d (learned from %d, twice %d, restarts %d)"
            .formatted(
                report.consumed().prompts(),
                report.consumed().judgments(),
                report.consumed().rollouts(),
                report.ppo().learned(),
                report.ppo().learnedTwice(),
                report.ppo().restarts()));
    lines.add("");
    for (int i = 0; i < last.examples().size(); i++) {
      Example before = first.examples().get(i);
      Example after = last.examples().get(i);
      lines.add("  " + before.prompt());
      lines.add("    first: " + before.response());
      lines.add("    last:  " + after.response());
    }
    lines.add(
        "  Each is one sample at temperature 1: a good policy still gives a bad response at"
            + " times.");
    lines.add("");
    lines.addAll(nextSteps(report, json));
    lines.add("");
    lines.add(
        String.format(Locale.ROOT, "%.0f s in all, seed %d", report.wallSeconds(), report.seed()));
    return lines;
  }

  private static List<String> gold(GoldScores first, GoldScores last) {
    return List.of(
        "Gold reward, which no model ever saw, on %d held-out prompts of each kind:"
            .formatted(last.prompts()),
        row("", "version " + first.version(), "version " + last.version()),
        row("gold helpfulness (0 to 1)", first.helpfulness(), last.helpfulness()),
        row("unsafe prompts complied with", first.unsafeCompliance(), last.unsafeCompliance()),
        row("gold safety (0 to 1)", first.safety(), last.safety()),
        row("KL to the reference (nats)", first.kl(), last.kl()),
        row("tokens of a response", first.responseTokens(), last.responseTokens()));
  }

  /** The gold reward on each split of the held-out prompts. */
  private static List<String> splits(QuickstartReport report) {
    List<String> lines = new ArrayList<>();
    lines.add(
        "Gold reward, which no model ever saw, with 95 % intervals over the held-out prompts");
    lines.add("(normal intervals for gold, Wilson's score intervals for shares):");
    report
        .splits()
        .forEach(
            (split, scores) -> {
              PolicyScores first = scores.first();
              PolicyScores last = scores.last();
              lines.add(
                  wide(
                      "%s, %d prompts of each kind"
                          .formatted(split.replace('_', ' '), scores.prompts()),
                      "version " + first.version(),
                      "version " + last.version()));
              lines.add(
                  wide(
                      "  gold helpfulness (0 to 1)",
                      measured(first.helpfulness()),
                      measured(last.helpfulness())));
              lines.add(
                  wide(
                      "  unsafe prompts complied with",
                      measured(first.safetyViolationRate()),
                      measured(last.safetyViolationRate())));
              lines.add(
                  wide(
                      "  gold safety (0 to 1)", measured(first.safety()), measured(last.safety())));
              lines.add(
                  wide(
                      "  KL to the reference (nats)",
                      thousandths(first.kl()),
                      thousandths(last.kl())));
              lines.add(
                  wide(
                      "  tokens of a response",
                      thousandths(first.responseTokens()),
                      thousandths(last.responseTokens())));
            });
    return lines;
  }

  private static String measured(Measured measured) {
    return "%s (%s to %s)"
        .formatted(
            thousandths(measured.mean()),
            thousandths(measured.low()),
            thousandths(measured.high()));
  }

  private static String wide(String name, String first, String last) {
    return "  %-42s %24s %24s".formatted(name, first, last);
  }

  /** Commands that a shell takes as they stand. */
  private static List<String> nextSteps(QuickstartReport report, Path json) {
    String last = quoted(report.lastCheckpoint());
    return List.of(
        "Report: " + json,
        "Last checkpoint: " + report.lastCheckpoint(),
        "Next steps",
        "  ask the last policy:",
        "    ./millrace generate --prompt 'How do I bake bread?' --checkpoint " + last,
        "  talk with the first and the last policy, side by side:",
        "    ./millrace chat --checkpoint %s --checkpoint %s"
            .formatted(quoted(report.firstCheckpoint()), last),
        "  see all curves:",
        "    ./millrace report --quickstart %s --out %s"
            .formatted(
                quoted(json.toString()), quoted(json.resolveSibling("report.html").toString())),
        "  use your own Kafka and model (README: With your own Kafka and your own Llama):",
        "    ./millrace run ppo --config millrace.yaml");
  }

  /** A word of a shell's command line. */
  private static String quoted(String word) {
    return word.matches("[A-Za-z0-9_./:@%+,=-]+") ? word : "'" + word.replace("'", "'\\''") + "'";
  }

  private static List<String> accuracies(RewardModel model) {
    List<String> cells = new ArrayList<>(List.of(String.valueOf(model.judgments())));
    for (Rating rating : Rating.values()) {
      cells.add(accuracy(model.accuracy().get(rating.name())));
    }
    cells.add(accuracy(model.accuracy().get("all")));
    return cells;
  }

  private static String accuracy(Double accuracy) {
    return accuracy == null ? "-" : String.format(Locale.ROOT, "%.3f", accuracy);
  }

  private static String row(String name, String first, String last) {
    return "  %-30s %12s %12s".formatted(name, first, last);
  }

  private static String row(String name, double first, double last) {
    return row(name, thousandths(first), thousandths(last));
  }

  /** Rounds before printing: a tiny negative number becomes 0.000, not -0.000. */
  private static String thousandths(double value) {
    return String.format(Locale.ROOT, "%.3f", Math.round(value * 1000) / 1000.0);
  }

  private static String cells(String name, List<String> cells) {
    StringBuilder line = new StringBuilder("  %-14s".formatted(name));
    cells.forEach(cell -> line.append(" %13s".formatted(cell)));
    return line.toString();
  }
}

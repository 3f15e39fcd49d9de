package io.millrace.campaign.record;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;

/** A campaign as the table that a sceptic checks. */
public final class CampaignTable {

  /** Of a normal distribution: 95 %. */
  private static final double Z = 1.96;

  private final CampaignRecord record;
  private final List<String> lines = new ArrayList<>();

  private CampaignTable(CampaignRecord record) {
    this.record = record;
  }

  /** The lines of a record's table. */
  public static List<String> lines(CampaignRecord record) {
    CampaignTable table = new CampaignTable(record);
    table.versions();
    table.rejectionSampling();
    table.gold();
    table.bags();
    return table.lines;
  }

  private void versions() {
    lines.add("");
    lines.add(row("version", "policy", "judgments", "acc. help.", "acc. safety", "seconds"));
    for (CampaignRecord.Version version : record.versions()) {
      Map<String, Double> figures = version.figures();
      Double judgments = figures.get("reward-model/helpfulness/judgments");
      lines.add(
          row(
              version.name(),
              version.policy() == null ? "-" : "v" + version.policy().version(),
              judgments == null
                  ? "-"
                  : number(judgments + figures.get("reward-model/safety/judgments"), 0),
              number(figures.get("reward-model/helpfulness/accuracy/all"), 3),
              number(figures.get("reward-model/safety/accuracy/all"), 3),
              number(version.wallSeconds(), 0)));
    }
  }

  private void rejectionSampling() {
    List<CampaignRecord.Version> sampled =
        record.versions().stream()
            .filter(v -> v.figures().containsKey("rejection/all/mean"))
            .toList();
    if (sampled.isEmpty()) {
      return;
    }
    int most = samples(sampled.getFirst().figures());
    List<Integer> ks = IntStream.of(1, 2, 4, 8, 16, 32).filter(k -> k < most).boxed().toList();
    lines.add("");
    lines.add(
        "Rejection sampling: best of K samples above the median of %d, in reward (logit)"
            .formatted(most));
    List<String> header = new ArrayList<>(List.of("version"));
    ks.forEach(k -> header.add("K=" + k));
    header.add("K=" + most);
    header.add("best temp.");
    lines.add(row(header.toArray(String[]::new)));
    for (CampaignRecord.Version version : sampled) {
      List<String> cells = new ArrayList<>(List.of(version.name()));
      List<Integer> all = new ArrayList<>(ks);
      all.add(most);
      // That of few samples is no median: of one or two it is their mean.
      Double median = version.figures().get("rejection/all/median/k=" + most);
      for (int k : all) {
        Double max = version.figures().get("rejection/all/max/k=" + k);
        cells.add(max == null || median == null ? "-" : number(max - median, 2));
      }
      cells.add(number(version.figures().get("rejection/best-temperature"), 2));
      lines.add(row(cells.toArray(String[]::new)));
    }
  }

  /** K of rejection sampling. */
  private static int samples(Map<String, Double> figures) {
    int most = 1;
    while (figures.containsKey("rejection/all/max/k=" + (most + 1))) {
      most++;
    }
    return most;
  }

  private void gold() {
    List<CampaignRecord.Version> measured =
        record.versions().stream()
            .filter(v -> v.figures().containsKey("gold/helpfulness"))
            .toList();
    if (measured.isEmpty()) {
      return;
    }
    lines.add("");
    lines.add(
        "On %.0f held-out prompts of each kind, by gold reward, which no model ever saw (± is 95 %%)"
            .formatted(measured.getFirst().figures().get("gold/prompts")));
    lines.add(row("version", "helpfulness", "safety", "unsafe", "KL", "tokens"));
    for (CampaignRecord.Version version : measured) {
      Map<String, Double> figures = version.figures();
      lines.add(
          row(
              version.name(),
              interval(figures, "gold/helpfulness"),
              interval(figures, "gold/safety"),
              number(figures.get("gold/unsafe-compliance"), 3),
              number(figures.get("gold/kl"), 1),
              number(figures.get("gold/response-tokens"), 1)));
    }
    lines.add("");
    for (int i = 1; i < measured.size(); i++) {
      compare(measured.get(i), measured.get(i - 1));
    }
    if (measured.size() > 2) {
      compare(measured.getLast(), measured.get(1));
    }
  }

  private void compare(CampaignRecord.Version later, CampaignRecord.Version earlier) {
    lines.add(
        "  %-10s against %-10s helpfulness %s, safety %s"
            .formatted(
                later.name(),
                earlier.name(),
                change(later.figures(), earlier.figures(), "", "", "gold/helpfulness"),
                change(later.figures(), earlier.figures(), "", "", "gold/safety")));
  }

  private void bags() {
    for (CampaignRecord.Version version : record.versions()) {
      Map<String, Double> figures = version.figures();
      if (figures.containsKey("bag/last/gold/helpfulness")) {
        lines.add("");
        lines.add(
            "%s, rejection sampling alone: all versions' samples against the last one's only"
                .formatted(version.name()));
        lines.add(
            "  helpfulness %s, safety %s"
                .formatted(
                    change(figures, figures, "bag/all/", "bag/last/", "gold/helpfulness"),
                    change(figures, figures, "bag/all/", "bag/last/", "gold/safety")));
      }
    }
  }

  /** A difference of two means, with its interval, and what follows. */
  private static String change(
      Map<String, Double> later,
      Map<String, Double> earlier,
      String prefix,
      String earlierPrefix,
      String name) {
    double difference = later.get(prefix + name) - earlier.get(earlierPrefix + name);
    double noise =
        Z
            * Math.hypot(
                later.get(prefix + name + "-error"), earlier.get(earlierPrefix + name + "-error"));
    String verdict = difference > noise ? "better" : difference < -noise ? "WORSE" : "within noise";
    return String.format(Locale.ROOT, "%+.3f ± %.3f %s", difference, noise, verdict);
  }

  private static String interval(Map<String, Double> figures, String name) {
    return "%s ±%s"
        .formatted(number(figures.get(name), 3), number(Z * figures.get(name + "-error"), 3));
  }

  private static String number(Double value, int digits) {
    return value == null
        ? "-"
        : String.format(Locale.ROOT, "%." + digits + "f", Math.abs(value) < 5e-4 ? 0.0 : value);
  }

  private static String row(String... cells) {
    StringBuilder line = new StringBuilder("  %-12s".formatted(cells[0]));
    for (int i = 1; i < cells.length; i++) {
      line.append(" %14s".formatted(cells[i]));
    }
    return line.toString();
  }
}

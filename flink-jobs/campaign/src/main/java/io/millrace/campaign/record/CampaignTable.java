package io.millrace.campaign.record;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;

/** The record of a campaign as a table of text. */
public final class CampaignTable {

  /** Half the width of a 95 % interval of a normal distribution, in standard deviations. */
  private static final double Z = 1.96;

  private final CampaignRecord record;
  private final List<String> lines = new ArrayList<>();

  private CampaignTable(CampaignRecord record) {
    this.record = record;
  }

  /** The lines of the table. */
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
    lines.add(
        row("version", "policy", "judgments", "acc. help.", "acc. safety", "gate", "seconds"));
    for (CampaignRecord.Version version : record.versions()) {
      Map<String, Double> metrics = version.metrics();
      Double judgments = metrics.get("reward-model/helpfulness/judgments");
      lines.add(
          row(
              version.name(),
              version.policy() == null ? "-" : "v" + version.policy().version(),
              judgments == null
                  ? "-"
                  : number(judgments + metrics.get("reward-model/safety/judgments"), 0),
              number(metrics.get("reward-model/helpfulness/accuracy/all"), 3),
              number(metrics.get("reward-model/safety/accuracy/all"), 3),
              verdict(metrics.get("evaluation/verdict")),
              number(version.wallSeconds(), 0)));
    }
  }

  private static String verdict(Double verdict) {
    return verdict == null ? "-" : verdict > 0 ? "promoted" : verdict < 0 ? "withdrawn" : "held";
  }

  private void rejectionSampling() {
    List<CampaignRecord.Version> sampled =
        record.versions().stream()
            .filter(v -> v.metrics().containsKey("rejection/all/mean"))
            .toList();
    if (sampled.isEmpty()) {
      return;
    }
    int most = samples(sampled.getFirst().metrics());
    List<Integer> ks = IntStream.of(1, 2, 4, 8, 16, 32).filter(k -> k < most).boxed().toList();
    lines.add("");
    lines.add(
        ("Rejection sampling: reward of the best of K samples, above the median of %d;"
                + " best temperature on helpfulness and safety prompts")
            .formatted(most));
    List<String> header = new ArrayList<>(List.of("version"));
    ks.forEach(k -> header.add("K=" + k));
    header.add("K=" + most);
    header.add("best temp. h");
    header.add("best temp. s");
    lines.add(row(header.toArray(String[]::new)));
    for (CampaignRecord.Version version : sampled) {
      List<String> cells = new ArrayList<>(List.of(version.name()));
      List<Integer> all = new ArrayList<>(ks);
      all.add(most);
      // The median of all samples: that of one or two samples is their mean.
      Double median = version.metrics().get("rejection/all/median/k=" + most);
      for (int k : all) {
        Double max = version.metrics().get("rejection/all/max/k=" + k);
        cells.add(max == null || median == null ? "-" : number(max - median, 2));
      }
      cells.add(number(version.metrics().get("rejection/helpfulness/best-temperature"), 2));
      cells.add(number(version.metrics().get("rejection/safety/best-temperature"), 2));
      lines.add(row(cells.toArray(String[]::new)));
    }
  }

  /** K of rejection sampling: samples per prompt. */
  private static int samples(Map<String, Double> metrics) {
    int most = 1;
    while (metrics.containsKey("rejection/all/max/k=" + (most + 1))) {
      most++;
    }
    return most;
  }

  private void gold() {
    List<CampaignRecord.Version> measured =
        record.versions().stream()
            .filter(v -> v.metrics().containsKey("gold/helpfulness"))
            .toList();
    if (measured.isEmpty()) {
      return;
    }
    lines.add("");
    lines.add(
        "Gold reward, which no model ever saw, on %.0f held-out prompts of each kind (± is 95 %%)"
            .formatted(measured.getFirst().metrics().get("gold/prompts")));
    lines.add(row("version", "helpfulness", "safety", "unsafe", "KL", "tokens"));
    for (CampaignRecord.Version version : measured) {
      Map<String, Double> metrics = version.metrics();
      lines.add(
          row(
              version.name(),
              interval(metrics, "gold/helpfulness"),
              interval(metrics, "gold/safety"),
              number(metrics.get("gold/unsafe-compliance"), 3),
              number(metrics.get("gold/kl"), 1),
              number(metrics.get("gold/response-tokens"), 1)));
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
                change(later.metrics(), earlier.metrics(), "", "", "gold/helpfulness"),
                change(later.metrics(), earlier.metrics(), "", "", "gold/safety")));
  }

  private void bags() {
    for (CampaignRecord.Version version : record.versions()) {
      Map<String, Double> metrics = version.metrics();
      if (metrics.containsKey("bag/last/gold/helpfulness")) {
        lines.add("");
        lines.add(
            "%s, rejection sampling alone: samples of all versions against the last version's only"
                .formatted(version.name()));
        lines.add(
            "  helpfulness %s, safety %s"
                .formatted(
                    change(metrics, metrics, "bag/all/", "bag/last/", "gold/helpfulness"),
                    change(metrics, metrics, "bag/all/", "bag/last/", "gold/safety")));
      }
    }
  }

  /** The difference of two means with its 95 % interval, and the verdict. */
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

  private static String interval(Map<String, Double> metrics, String name) {
    return "%s ±%s"
        .formatted(number(metrics.get(name), 3), number(Z * metrics.get(name + "-error"), 3));
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

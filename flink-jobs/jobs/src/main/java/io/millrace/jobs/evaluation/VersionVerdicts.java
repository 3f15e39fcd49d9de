package io.millrace.jobs.evaluation;

import io.millrace.jobs.evaluation.EvaluatedVersion.Version;
import io.millrace.jobs.evaluation.GateSection.PromoteWhen;
import io.millrace.jobs.evaluation.judge.Refusals;
import io.millrace.model.evaluation.Estimate;
import io.millrace.model.evaluation.Gate;
import io.millrace.model.evaluation.VersionFigures;
import io.millrace.model.evaluation.WinRate;
import io.millrace.model.evaluation.WinRate.Interval;
import io.millrace.model.training.StateIo;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Verdict;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;

/** What the gate says of versions, in figures and words. */
final class VersionVerdicts {

  /**
   * A verdict.
   *
   * @param evaluated the version that it is on
   * @param figures of that version, by name
   */
  record Given(long evaluated, Verdict verdict, List<String> reasons, Map<String, Double> figures) {

    boolean isPromoted() {
      return verdict == Verdict.PROMOTE;
    }

    void write(DataOutput out) throws IOException {
      out.writeLong(evaluated);
      StateIo.writeText(out, verdict.name());
      StateIo.writeList(out, reasons, StateIo::writeText);
      StateIo.writeFigures(out, figures);
    }

    static Given read(DataInput in) throws IOException {
      return new Given(
          in.readLong(),
          Verdict.valueOf(StateIo.readText(in)),
          StateIo.readList(in, StateIo::readText),
          StateIo.readFigures(in));
    }
  }

  private static final double EVEN = 0.5;

  private final VersionComparison.Bench bench;
  private final Refusals refusals;
  private final Gate gate;
  private final double confidence;

  VersionVerdicts(EvaluationSection section, VersionComparison.Bench bench) {
    this.bench = bench;
    this.refusals = new Refusals(section.refusals());
    this.gate = new Gate(limits(section.gate()));
    this.confidence = section.confidence();
  }

  private static Gate.Limits limits(GateSection section) {
    double winRate =
        section.promoteWhen() == PromoteWhen.BETTER ? EVEN : EVEN - section.notWorseMargin();
    return new Gate.Limits(
        winRate,
        section.safetyTolerance(),
        section.refusalTolerance(),
        section.maxSafetyViolations(),
        section.maxFalseRefusals(),
        section.maxKl(),
        section.maxPerplexityRatio(),
        section.minLengthRatio(),
        section.maxLengthRatio(),
        section.minDistinctRatio(),
        section.maxTruncated());
  }

  /**
   * The verdict on a new version.
   *
   * @param versions that it can be compared with, by number
   * @param first of them, of which there is none where {@code versions} is empty
   * @param rates against those that the judge compared it with
   * @param judgeFailure why the judge did not; empty where it did
   */
  Given on(
      EvaluatedVersion version,
      NavigableMap<Long, EvaluatedVersion> versions,
      long first,
      PromotionChain chain,
      Map<Long, WinRate> rates,
      String judgeFailure) {
    VersionFigures figures = figures(version);
    Map<String, Double> named = named(version, figures);
    List<String> against = new ArrayList<>(gate.absolute(figures));
    baseline(versions, first, chain)
        .ifPresent(
            baseline -> {
              named.putAll(figures.ratios(baseline));
              against.addAll(gate.besideBaseline(figures, baseline));
            });
    putRate(named, "first", rates.get(first));
    Optional.ofNullable(versions.lowerKey(version.number()))
        .ifPresent(previous -> putRate(named, "previous", rates.get(previous)));
    String praise = "nothing was promoted before, and every limit is kept";
    Optional<EvaluatedVersion> promoted = chain.current().map(one -> versions.get(one.number()));
    if (promoted.isPresent()) {
      against.addAll(gate.besidePromoted(figures, figures(promoted.get())));
      WinRate rate = rates.get(promoted.get().number());
      if (rate != null) {
        putRate(named, "promoted", rate);
        Interval interval = rate.interval(confidence);
        against.addAll(gate.winRate(interval));
        praise =
            String.format(
                Locale.ROOT,
                "win rate %.3f (%.3f to %.3f) against version %d, and every limit is kept",
                rate.mean(),
                interval.low(),
                interval.high(),
                promoted.get().number());
      }
    }
    if (!judgeFailure.isEmpty()) {
      against.add("the judge fails: " + judgeFailure);
    }
    return against.isEmpty()
        ? new Given(version.number(), Verdict.PROMOTE, List.of(praise), named)
        : new Given(version.number(), Verdict.HOLD, against, named);
  }

  /** The verdict on the version that is served, where it is to be withdrawn. */
  Optional<Given> withdrawal(
      EvaluatedVersion served,
      Map<Long, EvaluatedVersion> versions,
      PromotionChain chain,
      Map<Long, WinRate> rates) {
    EvaluatedVersion before = versions.get(chain.before().orElseThrow().number());
    VersionFigures figures = figures(served);
    VersionFigures figuresBefore = figures(before);
    List<String> against = new ArrayList<>(gate.besidePromoted(figures, figuresBefore));
    if (gate.absolute(figuresBefore).isEmpty()) {
      against.addAll(gate.absolute(figures));
    }
    Map<String, Double> named = named(served, figures);
    WinRate rate = rates.get(before.number());
    if (rate != null) {
      putRate(named, "before", rate);
      against.addAll(gate.worse(rate.interval(confidence)));
    }
    return against.isEmpty()
        ? Optional.empty()
        : Optional.of(new Given(served.number(), Verdict.ROLL_BACK, against, named));
  }

  /**
   * The version that ratios are taken by: the first that there is, unless it breaks limits by
   * itself, as one of random weights does; then the oldest that was promoted.
   */
  private Optional<VersionFigures> baseline(
      Map<Long, EvaluatedVersion> versions, long first, PromotionChain chain) {
    return Optional.ofNullable(versions.get(first))
        .map(this::figures)
        .filter(figures -> gate.absolute(figures).isEmpty())
        .or(
            () ->
                chain.versions().stream()
                    .map(Version::number)
                    .filter(versions::containsKey)
                    .findFirst()
                    .map(version -> figures(versions.get(version))));
  }

  private VersionFigures figures(EvaluatedVersion version) {
    return version.figures(bench.questions(), bench.template(), refusals, bench.piecewise());
  }

  private Map<String, Double> named(EvaluatedVersion version, VersionFigures figures) {
    Map<String, Double> named = new TreeMap<>(figures.byName());
    named.put("version", (double) version.number());
    version.scores.ifPresent(
        scores -> {
          putEstimate(named, "helpfulness", scores.helpfulness());
          putEstimate(named, "safety", scores.safety());
          putEstimate(named, "combined", bench.combined(version));
        });
    return named;
  }

  private static void putEstimate(Map<String, Double> named, String name, float[] scores) {
    Estimate estimate = Estimate.of(scores);
    named.put("score/" + name + "/mean", estimate.mean());
    named.put("score/" + name + "/stderr", estimate.standardError());
  }

  private void putRate(Map<String, Double> named, String against, WinRate rate) {
    if (rate == null) {
      return;
    }
    Interval interval = rate.interval(confidence);
    String name = "win_rate/" + against + "/";
    named.put(name + "mean", rate.mean());
    named.put(name + "low", interval.low());
    named.put(name + "high", interval.high());
    named.put(name + "wins", (double) rate.wins());
    named.put(name + "ties", (double) rate.ties());
    named.put(name + "losses", (double) rate.losses());
  }

  /** A verdict's figures, with what holds after it. */
  Map<String, Double> figures(Given given, PromotionChain chain, List<RewardCheckpoint> scoredBy) {
    Map<String, Double> figures = new TreeMap<>(given.figures());
    figures.put("verdict", code(given));
    figures.put("promoted_version", (double) chain.current().map(Version::number).orElse(0L));
    scoredBy.forEach(
        one ->
            figures.put(
                "reward_model/" + name(one.getObjective()) + "/version",
                (double) one.getVersion()));
    return figures;
  }

  /** 1 promoted, 0 held, -1 withdrawn. */
  static double code(Given given) {
    return switch (given.verdict()) {
      case PROMOTE -> 1;
      case HOLD -> 0;
      case ROLL_BACK -> -1;
    };
  }

  static String name(Objective objective) {
    return objective.name().toLowerCase(Locale.ROOT);
  }
}

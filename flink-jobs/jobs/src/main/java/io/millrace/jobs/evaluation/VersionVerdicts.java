package io.millrace.jobs.evaluation;

import io.millrace.jobs.evaluation.GateSection.PromoteWhen;
import io.millrace.jobs.evaluation.judge.Refusals;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.RewardModelPair;
import io.millrace.model.evaluation.Estimate;
import io.millrace.model.evaluation.Gate;
import io.millrace.model.evaluation.VersionMetrics;
import io.millrace.model.evaluation.WinRate;
import io.millrace.model.evaluation.WinRate.Interval;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Verdict;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;

/** The gate's verdicts on versions, with metrics and reasons. */
final class VersionVerdicts {

  private static final double EVEN = 0.5;

  private final BatchedJudge judge;
  private final Refusals refusals;
  private final Gate gate;
  private final double confidence;

  VersionVerdicts(EvaluationSection section, BatchedJudge judge) {
    this.judge = judge;
    this.refusals = new Refusals(section.refusals());
    this.gate = new Gate(limits(section.gate()));
    this.confidence = section.confidence();
  }

  private static Gate.Limits limits(GateSection section) {
    double winRate =
        section.promoteWhen() == PromoteWhen.BETTER ? EVEN : EVEN - section.notWorseMargin();
    return Gate.Limits.builder()
        .winRate(winRate)
        .safetyTolerance(section.safetyTolerance())
        .refusalTolerance(section.refusalTolerance())
        .safetyViolations(section.maxSafetyViolations())
        .falseRefusals(section.maxFalseRefusals())
        .kl(section.maxKl())
        .perplexityRatio(section.maxPerplexityRatio())
        .minLengthRatio(section.minLengthRatio())
        .maxLengthRatio(section.maxLengthRatio())
        .distinctRatio(section.minDistinctRatio())
        .truncated(section.maxTruncated())
        .build();
  }

  /**
   * The verdict on a new version.
   *
   * @param versions known versions by number
   * @param first the number of the first version; not in {@code versions} while they are empty
   * @param rates win rates against the versions that the judge compared it with
   * @param judgeFailure why the judge failed; empty if it did not
   */
  VersionVerdict verdict(
      EvaluatedVersion version,
      NavigableMap<Long, EvaluatedVersion> versions,
      long first,
      PromotionChain chain,
      Map<Long, WinRate> rates,
      String judgeFailure) {
    VersionMetrics metrics = metrics(version);
    Map<String, Double> named = named(version, metrics);
    List<String> against = new ArrayList<>(gate.absolute(metrics));
    baseline(versions, first, chain)
        .ifPresent(
            baseline -> {
              named.putAll(metrics.ratios(baseline));
              against.addAll(gate.besideBaseline(metrics, baseline));
            });
    putRate(named, "first", rates.get(first));
    Optional.ofNullable(versions.lowerKey(version.version()))
        .ifPresent(previous -> putRate(named, "previous", rates.get(previous)));
    String praise =
        chain.isServed(version.version())
            ? "a person decided to serve it, no version is known to compare it with, and every"
                + " limit is kept"
            : "no version was promoted before, and every limit is kept";
    Optional<EvaluatedVersion> promoted =
        chain.rival(version.version()).map(one -> versions.get(one.version()));
    if (promoted.isPresent()) {
      against.addAll(gate.besidePromoted(metrics, metrics(promoted.get())));
      WinRate rate = rates.get(promoted.get().version());
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
                promoted.get().version());
      }
    }
    if (!judgeFailure.isEmpty()) {
      against.add("the judge fails: " + judgeFailure);
    }
    return against.isEmpty()
        ? new VersionVerdict(version.version(), Verdict.PROMOTE, List.of(praise), named)
        : new VersionVerdict(version.version(), Verdict.HOLD, against, named);
  }

  /** The verdict on the served version if it must be rolled back. */
  Optional<VersionVerdict> rollback(
      EvaluatedVersion served,
      Map<Long, EvaluatedVersion> versions,
      PromotionChain chain,
      Map<Long, WinRate> rates) {
    EvaluatedVersion before = versions.get(chain.before().orElseThrow().version());
    VersionMetrics metrics = metrics(served);
    VersionMetrics metricsBefore = metrics(before);
    List<String> against = new ArrayList<>(gate.besidePromoted(metrics, metricsBefore));
    if (gate.absolute(metricsBefore).isEmpty()) {
      against.addAll(gate.absolute(metrics));
    }
    Map<String, Double> named = named(served, metrics);
    WinRate rate = rates.get(before.version());
    if (rate != null) {
      putRate(named, "before", rate);
      against.addAll(gate.worse(rate.interval(confidence)));
    }
    return against.isEmpty()
        ? Optional.empty()
        : Optional.of(new VersionVerdict(served.version(), Verdict.ROLL_BACK, against, named));
  }

  /**
   * The metrics that a version's ratios refer to: of the first version, unless it breaks absolute
   * limits, as random weights do; then of the oldest promoted version.
   */
  private Optional<VersionMetrics> baseline(
      Map<Long, EvaluatedVersion> versions, long first, PromotionChain chain) {
    return Optional.ofNullable(versions.get(first))
        .map(this::metrics)
        .filter(metrics -> gate.absolute(metrics).isEmpty())
        .or(
            () ->
                chain.versions().stream()
                    .map(ModelRef::version)
                    .filter(versions::containsKey)
                    .findFirst()
                    .map(version -> metrics(versions.get(version))));
  }

  private VersionMetrics metrics(EvaluatedVersion version) {
    return version.metrics(judge.questions(), judge.template(), refusals, judge.piecewise());
  }

  private Map<String, Double> named(EvaluatedVersion version, VersionMetrics metrics) {
    Map<String, Double> named = new TreeMap<>(metrics.byName());
    named.put("version", (double) version.version());
    version
        .scores()
        .ifPresent(
            scores -> {
              putEstimate(named, "helpfulness", scores.helpfulness());
              putEstimate(named, "safety", scores.safety());
              putEstimate(named, "combined", judge.combined(version));
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

  /**
   * A verdict's metrics, with the verdict, the served version and the reward models.
   *
   * @param chain after the verdict
   */
  Map<String, Double> metrics(
      VersionVerdict verdict, PromotionChain chain, Optional<RewardModelPair> scoredBy) {
    Map<String, Double> metrics = new TreeMap<>(verdict.metrics());
    metrics.put("verdict", verdict.code());
    metrics.put("promoted_version", (double) chain.current().map(ModelRef::version).orElse(0L));
    scoredBy.ifPresent(
        pair -> {
          for (Objective objective : Objective.values()) {
            metrics.put(
                "reward_model/" + name(objective) + "/version",
                (double) pair.of(objective).version());
          }
        });
    return metrics;
  }

  /** The objective's name in metrics. */
  static String name(Objective objective) {
    return objective.name().toLowerCase(Locale.ROOT);
  }
}

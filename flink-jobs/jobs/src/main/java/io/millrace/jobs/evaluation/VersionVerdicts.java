package io.millrace.jobs.evaluation;

import io.millrace.jobs.evaluation.GateSection.PromoteWhen;
import io.millrace.jobs.evaluation.judge.Refusals;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.RewardModelPair;
import io.millrace.model.evaluation.ErrorBudget;
import io.millrace.model.evaluation.Estimate;
import io.millrace.model.evaluation.Gate;
import io.millrace.model.evaluation.Gate.Finding;
import io.millrace.model.evaluation.Gate.Status;
import io.millrace.model.evaluation.GateLimits;
import io.millrace.model.evaluation.LabelCounts;
import io.millrace.model.evaluation.VersionMetrics;
import io.millrace.model.evaluation.WinRate;
import io.millrace.model.evaluation.WinRate.Interval;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Verdict;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** The gate's verdicts on versions, with metrics and reasons. */
final class VersionVerdicts {

  private static final double EVEN = 0.5;

  private final BatchedJudge judge;
  private final Refusals refusals;
  private final Gate gate;
  private final ErrorBudget budget;
  private final double labelAlpha;
  private final int maxLooks;

  VersionVerdicts(EvaluationSection section, BatchedJudge judge) {
    this.judge = judge;
    this.refusals = new Refusals(section.refusals());
    this.gate = new Gate(limits(section.gate()));
    this.budget = new ErrorBudget(1 - section.confidence());
    this.labelAlpha = 1 - section.confidence();
    // Without randomness the same prompts give the same responses, which are no new evidence.
    this.maxLooks =
        section.temperature() == 0
            ? Math.min(section.gate().maxLooks(), judge.sets().count())
            : section.gate().maxLooks();
  }

  private static GateLimits limits(GateSection section) {
    double notWorse = EVEN - section.notWorseMargin();
    return GateLimits.builder()
        .winRate(section.promoteWhen() == PromoteWhen.BETTER ? EVEN : notWorse)
        .notWorse(notWorse)
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

  /** Who judges now. */
  String judge(RewardScorer rewards) {
    return judge.description(rewards);
  }

  /** Looks that one test may take. */
  int maxLooks() {
    return maxLooks;
  }

  /** The versions that others are compared with, by their numbers; empty where there is none. */
  record Rivals(Optional<Long> promoted, Optional<Long> first, Optional<Long> best) {}

  /**
   * The verdict on a new version after a look.
   *
   * @param versions known versions by number
   * @param evaluation with the evidence of all looks
   * @param decided whether a person serves the version already
   */
  VersionVerdict verdict(
      Evaluation evaluation, Map<Long, EvaluatedVersion> versions, Rivals rivals, boolean decided) {
    EvaluatedVersion version = evaluation.subject();
    VersionMetrics metrics = metrics(version);
    Map<String, Double> named = named(version, metrics, evaluation.labels());
    List<Finding> findings = new ArrayList<>(gate.absolute(metrics));
    findings.addAll(gate.shares(evaluation.labels(), labelAlpha));
    baseline(versions, rivals)
        .ifPresent(
            baseline -> {
              named.putAll(metrics.ratios(baseline));
              findings.addAll(gate.besideBaseline(metrics, baseline));
            });
    double alpha = budget.level(Math.max(1, evaluation.test()));
    findings.addAll(beside(evaluation, rivals, alpha, named));
    if (!evaluation.judgeFailure().isEmpty()) {
      findings.removeIf(finding -> finding.status() == Status.MISSING);
      findings.add(
          new Finding(
              Status.MISSING, "judge", () -> "the judge fails: " + evaluation.judgeFailure()));
    }
    int left = left(findings, evaluation.look());
    putFindings(named, findings);
    named.put("looks/taken", (double) evaluation.look());
    named.put(VersionVerdict.LOOKS_LEFT, (double) left);
    if (findings.isEmpty()) {
      String praise = praise(evaluation, rivals, alpha, decided);
      return new VersionVerdict(version.version(), Verdict.PROMOTE, List.of(praise), named);
    }
    List<String> reasons = new ArrayList<>(findings.stream().map(Finding::reason).toList());
    if (left > 0) {
      reasons.add(
          "look %d of %d: the next one adds other prompts".formatted(evaluation.look(), maxLooks));
    }
    return new VersionVerdict(version.version(), Verdict.HOLD, reasons, named);
  }

  /** Looks that may still decide: none if a limit is broken or a metric is missing. */
  private int left(List<Finding> findings, int look) {
    boolean open =
        !findings.isEmpty()
            && findings.stream().allMatch(finding -> finding.status() == Status.UNDECIDED);
    return open ? maxLooks - look : 0;
  }

  /** Compares with the promoted, the best and the first version; puts the win rates. */
  private List<Finding> beside(
      Evaluation evaluation, Rivals rivals, double alpha, Map<String, Double> named) {
    List<Finding> findings = new ArrayList<>();
    rivals
        .promoted()
        .ifPresent(
            promoted -> {
              VersionEvidence evidence = evaluation.evidence(promoted);
              String whom = "the promoted version " + promoted;
              putRate(named, "promoted", evidence, alpha);
              gate.better(whom, evidence.winRate(), alpha).ifPresent(findings::add);
              findings.addAll(gate.beside(whom, evidence.labels(), true, labelAlpha));
            });
    rivals
        .best()
        .ifPresent(
            best -> {
              VersionEvidence evidence = evaluation.evidence(best);
              putRate(named, "best", evidence, alpha);
              if (!rivals.promoted().equals(rivals.best())) {
                String whom = "the best version " + best;
                gate.notWorse("win_rate/best", whom, evidence.winRate(), alpha)
                    .ifPresent(findings::add);
                findings.addAll(gate.beside(whom, evidence.labels(), true, labelAlpha));
              }
            });
    rivals
        .first()
        .ifPresent(
            first -> {
              VersionEvidence evidence = evaluation.evidence(first);
              putRate(named, "first", evidence, alpha);
              // Without a promoted version nothing has kept to the limits that the first one
              // breaks.
              if (rivals.promoted().isPresent()
                  && !rivals.promoted().equals(rivals.first())
                  && !rivals.best().equals(rivals.first())) {
                String whom = "the first version " + first;
                gate.notWorse("win_rate/first", whom, evidence.winRate(), alpha)
                    .ifPresent(findings::add);
                findings.addAll(gate.beside(whom, evidence.labels(), false, labelAlpha));
              }
            });
    return findings;
  }

  private static String praise(
      Evaluation evaluation, Rivals rivals, double alpha, boolean decided) {
    if (rivals.promoted().isEmpty()) {
      return decided
          ? "a person decided to serve it, no version is known to compare it with, and every limit"
              + " is kept"
          : "no version was promoted before, and every limit is kept";
    }
    WinRate rate = evaluation.evidence(rivals.promoted().get()).winRate();
    Interval interval = rate.interval(alpha);
    return String.format(
        Locale.ROOT,
        "win rate %.3f (%.3f to %.3f) against version %d, and every limit is kept",
        rate.mean(),
        interval.low(),
        interval.high(),
        rivals.promoted().get());
  }

  /** Whether a version is shown to be better than another one. */
  boolean isBetter(Evaluation evaluation, long than) {
    return evaluation
        .evidence(than)
        .winRate()
        .isAbove(EVEN, budget.level(Math.max(1, evaluation.test())));
  }

  /** The verdict on the served version if it must be rolled back. */
  Optional<VersionVerdict> rollback(EvaluatedVersion served, ServedCheck check) {
    double alpha = budget.level(check.number());
    VersionEvidence evidence = check.evidence();
    List<Finding> findings =
        gate.withdrawal(
            "the version before, " + evidence.other(),
            evidence.winRate(),
            evidence.labels(),
            alpha);
    if (findings.isEmpty()) {
      return Optional.empty();
    }
    Map<String, Double> named = named(served, metrics(served), labels(served));
    putRate(named, "before", evidence, alpha);
    putFindings(named, findings);
    named.put("looks/taken", (double) check.looks());
    return Optional.of(
        new VersionVerdict(
            served.version(),
            Verdict.ROLL_BACK,
            findings.stream().map(Finding::reason).toList(),
            named));
  }

  /**
   * The metrics that a version's ratios refer to: of the first version, unless it breaks fixed
   * limits, as random weights do; then of the promoted one.
   */
  private Optional<VersionMetrics> baseline(Map<Long, EvaluatedVersion> versions, Rivals rivals) {
    return rivals
        .first()
        .map(versions::get)
        .map(this::metrics)
        .filter(gate::suitsAsBaseline)
        .or(() -> rivals.promoted().map(versions::get).map(this::metrics));
  }

  /** Counts of a version's labels in this look. */
  LabelCounts labels(EvaluatedVersion version) {
    return version.labelCounts(
        judge.questions(version), judge.template(), refusals, judge.piecewise());
  }

  /** Counts of a version's labels beside another's in this look. */
  LabelCounts labelsBeside(EvaluatedVersion version, EvaluatedVersion other) {
    return version.labelCountsBeside(
        other, judge.questions(version), judge.template(), refusals, judge.piecewise());
  }

  private VersionMetrics metrics(EvaluatedVersion version) {
    return version.metrics(judge.questions(version), judge.template(), refusals, judge.piecewise());
  }

  private Map<String, Double> named(
      EvaluatedVersion version, VersionMetrics metrics, LabelCounts labels) {
    Map<String, Double> named = new TreeMap<>(metrics.byName());
    named.put("version", (double) version.version());
    putShare(named, "safety_violations", labels.safety());
    putShare(named, "ordinary_violations", labels.ordinary());
    putShare(named, "false_refusals", labels.refusals());
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

  /** The share over all looks, and its upper confidence limit. */
  private void putShare(Map<String, Double> named, String name, WinRate labels) {
    if (!labels.isEmpty()) {
      named.put(name, labels.mean());
      named.put(name + "_high", labels.interval(labelAlpha).high());
    }
  }

  private static void putFindings(Map<String, Double> named, List<Finding> findings) {
    for (Status status : Status.values()) {
      named.put(
          "limits/" + status.name().toLowerCase(Locale.ROOT),
          (double) findings.stream().filter(finding -> finding.status() == status).count());
    }
  }

  private static void putEstimate(Map<String, Double> named, String name, float[] scores) {
    Estimate estimate = Estimate.of(scores);
    named.put("score/" + name + "/mean", estimate.mean());
    named.put("score/" + name + "/stderr", estimate.standardError());
  }

  private static void putRate(
      Map<String, Double> named, String against, VersionEvidence evidence, double alpha) {
    WinRate rate = evidence.winRate();
    if (rate.isEmpty()) {
      return;
    }
    Interval interval = rate.interval(alpha);
    String name = "win_rate/" + against + "/";
    named.put(name + "mean", rate.mean());
    named.put(name + "low", interval.low());
    named.put(name + "high", interval.high());
    named.put(name + "wins", (double) rate.wins());
    named.put(name + "ties", (double) rate.ties());
    named.put(name + "losses", (double) rate.losses());
    double lengthControlled = evidence.lengthControlled();
    if (!Double.isNaN(lengthControlled)) {
      named.put(name + "length_controlled", lengthControlled);
    }
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
    metrics.putAll(chain.counters().byName());
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

package io.millrace.jobs.evaluation;

import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Verdict;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Emits verdicts, and keeps the last one of this run on each version. */
final class PublishedVerdicts {

  private static final Logger LOG = LoggerFactory.getLogger(PublishedVerdicts.class);

  private final String model;
  private final VersionVerdicts gate;
  private final Evaluator.Outlet outlet;
  private final TreeMap<Long, VersionVerdict> verdicts = new TreeMap<>();

  PublishedVerdicts(String model, VersionVerdicts gate, Evaluator.Outlet outlet) {
    this.model = model;
    this.gate = gate;
    this.outlet = outlet;
  }

  /**
   * Emits a verdict with its metrics.
   *
   * @param chain after the verdict
   */
  void publish(VersionVerdict verdict, PromotionChain chain, RewardScorer rewards) {
    verdicts.put(verdict.evaluated(), verdict);
    Map<String, Double> metrics = gate.metrics(verdict, chain, rewards.pair());
    LOG.info(
        "Version {} of {}: {}: {}",
        verdict.evaluated(),
        model,
        verdict.verdict(),
        String.join("; ", verdict.reasons()));
    outlet.emit(Outputs.metrics(Evaluator.JOB, verdict.evaluated(), metrics, Instant.now()));
    Optional<ModelRef> serve = chain.current();
    outlet.emit(
        Promotion.newBuilder()
            .setModel(model)
            .setVersion(serve.map(ModelRef::version).orElse(0L))
            .setVerdict(verdict.verdict())
            .setEvaluated(verdict.evaluated())
            .setUri(serve.map(ModelRef::uri).orElse(""))
            .setManifestSha256(serve.map(ModelRef::manifestSha256).orElse(""))
            .setBefore(chain.before().map(ModelRef::version).orElse(0L))
            .setBest(chain.best().map(ModelRef::version).orElse(0L))
            .setJudge(gate.judge(rewards))
            .setReasons(verdict.reasons())
            .setMetrics(metrics)
            .setTime(Instant.now())
            .build());
  }

  /** Whether a version has a verdict that no further look may change. */
  boolean contains(long version) {
    return verdicts.containsKey(version) && !verdicts.get(version).isOpen();
  }

  /** The last verdict of this run on each version, by version. */
  List<VersionVerdict> all() {
    return List.copyOf(verdicts.values());
  }

  void restore(List<VersionVerdict> states) {
    states.forEach(one -> verdicts.put(one.evaluated(), one));
  }

  /** Counts of verdicts, and held versions by the kind of their reasons. */
  void putSummary(Map<String, Double> summary) {
    summary.put("evaluated", (double) verdicts.size());
    for (String kind : List.of("missing", "broken", "undecided")) {
      summary.put(
          "held/" + kind,
          (double)
              verdicts.values().stream()
                  .filter(verdict -> verdict.verdict() == Verdict.HOLD)
                  .filter(verdict -> verdict.metrics().getOrDefault("limits/" + kind, 0.0) > 0)
                  .count());
    }
    verdicts.forEach((version, verdict) -> summary.put("verdicts/" + version, verdict.code()));
  }
}

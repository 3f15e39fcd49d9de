package io.millrace.report;

import io.millrace.demo.loop.GoldScores.Example;
import io.millrace.model.supervised.GhostAttentionMeasure;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.TrainingMetrics;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** The data of a run from any source. Data that the source does not have are empty. */
final class RunData {

  /**
   * A version of the policy.
   *
   * @param parent the version before; empty for the first
   * @param checkpoint URI or directory of its checkpoint
   * @param digest SHA-256 of the checkpoint's manifest; may be empty
   * @param counts counts of records by kind: judgments, rollouts
   * @param seconds duration of its training; 0 where it is not known
   */
  record Version(
      String name,
      String parent,
      String policy,
      String checkpoint,
      String digest,
      Map<String, Long> counts,
      double seconds) {}

  /** Metrics with a label, such as the name of a version. */
  record LabelledMetrics(String label, Map<String, Double> values) {

    double get(String metric) {
      return values.getOrDefault(metric, Double.NaN);
    }

    boolean has(String metric) {
      return values.containsKey(metric);
    }
  }

  /** The metrics of a job, step by step, with a label. */
  record Curve(String label, List<TrainingMetrics> points) {}

  /** Prompts and a policy's responses, with the policy's label. */
  record Samples(String label, List<Example> examples) {}

  /** Dead letters of a topic with the same reason. */
  record DeadLetters(String topic, String reason, long count, String lastMessage) {}

  /** The measurements of two policies, one with Ghost Attention and one without. */
  record Ghost(GhostAttentionMeasure.Measured with, GhostAttentionMeasure.Measured without) {}

  private final String title;
  private final String subtitle;
  final List<Version> versions = new ArrayList<>();
  final List<LabelledMetrics> gold = new ArrayList<>();
  final List<LabelledMetrics> splits = new ArrayList<>();
  final List<LabelledMetrics> rewardModels = new ArrayList<>();
  final List<LabelledMetrics> rejection = new ArrayList<>();
  final List<LabelledMetrics> bags = new ArrayList<>();
  final List<Curve> supervised = new ArrayList<>();
  final List<Curve> helpfulness = new ArrayList<>();
  final List<Curve> safety = new ArrayList<>();
  final List<Curve> ppo = new ArrayList<>();
  final RewardDistributions rewards = new RewardDistributions();
  final List<LabelledMetrics> evaluation = new ArrayList<>();
  final List<LabelledMetrics> heldOutRewardModels = new ArrayList<>();
  final List<Promotion> promotions = new ArrayList<>();
  final List<DeadLetters> deadLetters = new ArrayList<>();
  final List<Samples> samples = new ArrayList<>();
  final Map<String, Long> topics = new TreeMap<>();
  Optional<Ghost> ghost = Optional.empty();

  RunData(String title, String subtitle) {
    this.title = title;
    this.subtitle = subtitle;
  }

  String title() {
    return title;
  }

  String subtitle() {
    return subtitle;
  }
}

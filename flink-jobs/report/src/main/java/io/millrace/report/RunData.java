package io.millrace.report;

import io.millrace.demo.loop.Measured.Example;
import io.millrace.model.supervised.GhostAttentionMeasure;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.TrainingMetrics;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** What is known of a run, wherever it comes from; what is not known is empty. */
final class RunData {

  /**
   * A version of the policy in its line.
   *
   * @param parent empty for the first
   * @param checkpoint where it is
   */
  record Line(
      String name,
      String parent,
      String policy,
      String checkpoint,
      String digest,
      Map<String, Long> counts,
      double seconds) {}

  /** Figures under a name, such as a version's. */
  record Labelled(String label, Map<String, Double> figures) {

    double get(String name) {
      return figures.getOrDefault(name, Double.NaN);
    }

    boolean has(String name) {
      return figures.containsKey(name);
    }
  }

  /** A job's figures by step, under a name such as a version's. */
  record Curve(String label, List<TrainingMetrics> points) {}

  /** What a policy answered to the prompts it is shown with. */
  record Said(String label, List<Example> examples) {}

  /** Dead letters of a topic and a reason. */
  record DeadLetters(String topic, String reason, long count, String lastMessage) {}

  /** Ghost Attention, with and without. */
  record Ghost(GhostAttentionMeasure.Measured with, GhostAttentionMeasure.Measured without) {}

  private final String title;
  private final String subtitle;
  final List<Line> lineage = new ArrayList<>();
  final List<Labelled> gold = new ArrayList<>();
  final List<Labelled> rewardModels = new ArrayList<>();
  final List<Labelled> rejection = new ArrayList<>();
  final List<Labelled> bags = new ArrayList<>();
  final List<Curve> supervised = new ArrayList<>();
  final List<Curve> helpfulness = new ArrayList<>();
  final List<Curve> safety = new ArrayList<>();
  final List<Curve> ppo = new ArrayList<>();
  final List<Labelled> evaluation = new ArrayList<>();
  final List<Labelled> heldOutRewardModels = new ArrayList<>();
  final List<Promotion> promotions = new ArrayList<>();
  final List<DeadLetters> deadLetters = new ArrayList<>();
  final List<Said> said = new ArrayList<>();
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

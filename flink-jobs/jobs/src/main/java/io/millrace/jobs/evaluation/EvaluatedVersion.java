package io.millrace.jobs.evaluation;

import io.millrace.jobs.evaluation.judge.Refusals;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.RewardModelPair;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.evaluation.Diversity;
import io.millrace.model.evaluation.Judge.Choice;
import io.millrace.model.evaluation.Judge.Labels;
import io.millrace.model.evaluation.Judge.Question;
import io.millrace.model.evaluation.LabelCounts;
import io.millrace.model.evaluation.VersionMetrics;
import io.millrace.model.evaluation.WinRate;
import io.millrace.model.reward.PiecewiseReward;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.apache.avro.reflect.AvroDefault;
import org.apache.avro.reflect.Nullable;

/** A policy version with its responses to the held-out prompts and what was measured of them. */
final class EvaluatedVersion {

  /**
   * A response to a held-out prompt.
   *
   * @param stopped whether it ended with a stop token
   * @param kl to the reference policy, in nats
   * @param entropy sum over its tokens, in nats
   */
  record MeasuredResponse(int[] tokens, boolean stopped, double kl, double entropy) {}

  /**
   * Log-probs of held-out demonstrations.
   *
   * @param examples number of demonstrations so far
   * @param tokens number of their learned tokens
   * @param sum of the tokens' log-probs, in nats
   */
  record LogProbs(int examples, long tokens, double sum) {

    /** e to the mean of −log p. */
    double perplexity() {
      return Math.exp(-sum / tokens);
    }
  }

  /**
   * Scores of all responses.
   *
   * @param models the reward models that scored them
   * @param helpfulness R_h of each response, a logit
   * @param safety R_s of each response, a logit
   */
  record Scores(RewardModelPair models, float[] helpfulness, float[] safety) {}

  private final ModelRef model;
  private long round = -1;
  private final List<MeasuredResponse> responses = new ArrayList<>();
  private final List<Labels> labels = new ArrayList<>();
  private LogProbs demonstrations = new LogProbs(0, 0, 0);
  private Scores scores;

  /** The responses as text, once they are complete. */
  private List<String> texts = List.of();

  EvaluatedVersion(ModelRef model) {
    this.model = model;
  }

  ModelRef model() {
    return model;
  }

  long version() {
    return model.version();
  }

  /** The round whose prompts the responses answer; below 0 before the first one. */
  long round() {
    return round;
  }

  /** Answers the prompts of a round from now on, unless it does already. */
  void answer(long newRound) {
    if (round != newRound) {
      round = newRound;
      responses.clear();
      labels.clear();
      scores = null;
      texts = List.of();
    }
  }

  /** One response for each prompt, in order; fewer while they are being sampled. */
  List<MeasuredResponse> responses() {
    return Collections.unmodifiableList(responses);
  }

  /** Tokens of each response, its stop token included. */
  int[] lengths() {
    return responses.stream().mapToInt(response -> response.tokens().length).toArray();
  }

  void add(MeasuredResponse response) {
    responses.add(response);
  }

  /** Log-probs of the demonstrations so far. */
  LogProbs demonstrations() {
    return demonstrations;
  }

  void measured(LogProbs demonstrations) {
    this.demonstrations = demonstrations;
  }

  /** The judge's labels, one for each prompt; fewer while the judge is being asked. */
  List<Labels> labels() {
    return Collections.unmodifiableList(labels);
  }

  void addLabels(List<Labels> next) {
    labels.addAll(next);
  }

  /** The judge labels all responses again. */
  void clearLabels() {
    labels.clear();
  }

  /** Scores by the reward models; empty while there are none. */
  Optional<Scores> scores() {
    return Optional.ofNullable(scores);
  }

  void scored(Scores scores) {
    this.scores = scores;
  }

  /** The responses as text. */
  List<String> texts(ChatTemplate template) {
    if (texts.size() != responses.size()) {
      texts = responses.stream().map(response -> template.responseText(response.tokens())).toList();
    }
    return texts;
  }

  /** The metrics that a gate needs. A share of no prompts is NaN. */
  VersionMetrics metrics(
      List<Question> questions, ChatTemplate template, Refusals refusals, PiecewiseReward unsafe) {
    List<String> texts = texts(template);
    double violations = 0;
    double safetyPrompts = 0;
    double refused = 0;
    double tokens = 0;
    double kl = 0;
    double entropy = 0;
    double truncated = 0;
    for (int i = 0; i < responses.size(); i++) {
      Labels label = labels.isEmpty() ? Labels.NONE : labels.get(i);
      String text = texts.get(i);
      if (questions.get(i).isSafety()) {
        safetyPrompts++;
        violations += violation(label, i, unsafe);
      } else if (label.refusal().orElseGet(() -> refusals.isRefusal(text))) {
        refused++;
      }
      MeasuredResponse response = responses.get(i);
      tokens += response.tokens().length;
      kl += response.kl();
      entropy += response.entropy();
      truncated += response.stopped() ? 0 : 1;
    }
    int count = responses.size();
    return VersionMetrics.builder()
        .safetyViolations(violations / safetyPrompts)
        .falseRefusals(refused / (count - safetyPrompts))
        .responseTokens(tokens / count)
        .distinct1(Diversity.distinct(texts, 1))
        .distinct2(Diversity.distinct(texts, 2))
        .perplexity(demonstrations.perplexity())
        .kl(kl / count)
        .entropy(entropy / tokens)
        .truncated(truncated / count)
        .build();
  }

  /** The labels of one response; {@code unsafe} is NaN if nobody says. */
  private record Marks(double unsafe, boolean refuses) {}

  private List<Marks> marks(ChatTemplate template, Refusals refusals, PiecewiseReward unsafe) {
    List<String> texts = texts(template);
    List<Marks> marks = new ArrayList<>();
    for (int i = 0; i < responses.size(); i++) {
      Labels label = labels.isEmpty() ? Labels.NONE : labels.get(i);
      String text = texts.get(i);
      marks.add(
          new Marks(
              violation(label, i, unsafe),
              label.refusal().orElseGet(() -> refusals.isRefusal(text))));
    }
    return marks;
  }

  /** Counts of the labels of this round. Labels that nobody knows for each response are absent. */
  LabelCounts labelCounts(
      List<Question> questions, ChatTemplate template, Refusals refusals, PiecewiseReward unsafe) {
    Counts counts = new Counts(questions);
    List<Marks> marks = marks(template, refusals, unsafe);
    for (int i = 0; i < marks.size(); i++) {
      double violation = marks.get(i).unsafe();
      counts.violation(i, violation, violation == 0 ? Choice.B : Choice.A);
      counts.refusal(i, marks.get(i).refuses() ? Choice.A : Choice.B);
    }
    return counts.all();
  }

  /** Counts of this version's labels beside another version's of the same round. */
  LabelCounts labelCountsBeside(
      EvaluatedVersion other,
      List<Question> questions,
      ChatTemplate template,
      Refusals refusals,
      PiecewiseReward unsafe) {
    Counts counts = new Counts(questions);
    List<Marks> own = marks(template, refusals, unsafe);
    List<Marks> others = other.marks(template, refusals, unsafe);
    for (int i = 0; i < own.size(); i++) {
      double difference = others.get(i).unsafe() - own.get(i).unsafe();
      counts.violation(i, difference, Choice.of(difference, 0));
      boolean refuses = own.get(i).refuses();
      counts.refusal(
          i, refuses == others.get(i).refuses() ? Choice.TIE : refuses ? Choice.B : Choice.A);
    }
    return counts.all();
  }

  /** Adds up labels by the kind of their prompt. */
  private static final class Counts {
    private final List<Question> questions;
    private final List<Choice> safety = new ArrayList<>();
    private final List<Choice> ordinary = new ArrayList<>();
    private final List<Choice> refusals = new ArrayList<>();
    private boolean safetyUnknown;
    private boolean ordinaryUnknown;

    Counts(List<Question> questions) {
      this.questions = questions;
    }

    void violation(int prompt, double value, Choice choice) {
      if (questions.get(prompt).isSafety()) {
        safetyUnknown |= Double.isNaN(value);
        safety.add(choice);
      } else {
        ordinaryUnknown |= Double.isNaN(value);
        ordinary.add(choice);
      }
    }

    void refusal(int prompt, Choice choice) {
      if (!questions.get(prompt).isSafety()) {
        refusals.add(choice);
      }
    }

    LabelCounts all() {
      return new LabelCounts(
          safetyUnknown ? WinRate.NONE : VersionComparison.count(safety),
          ordinaryUnknown ? WinRate.NONE : VersionComparison.count(ordinary),
          VersionComparison.count(refusals));
    }
  }

  /** 1 for an unsafe response, else 0; NaN if neither the judge nor a reward model says. */
  private double violation(Labels label, int response, PiecewiseReward unsafe) {
    if (label.violation().isPresent()) {
      return label.violation().get() ? 1 : 0;
    }
    if (scores == null) {
      return Double.NaN;
    }
    return unsafe.isUnsafe(scores.safety()[response]) ? 1 : 0;
  }

  record State(
      ModelRef model,
      List<MeasuredResponse> responses,
      List<LabelsState> labels,
      LogProbs demonstrations,
      @Nullable Scores scores,
      @AvroDefault("-1") long round) {}

  /** {@link Labels}, with null for no label. */
  record LabelsState(@Nullable Boolean violation, @Nullable Boolean refusal) {}

  State state() {
    return new State(
        model,
        List.copyOf(responses),
        labels.stream()
            .map(one -> new LabelsState(one.violation().orElse(null), one.refusal().orElse(null)))
            .toList(),
        demonstrations,
        scores,
        round);
  }

  static EvaluatedVersion of(State state) {
    EvaluatedVersion version = new EvaluatedVersion(state.model());
    version.responses.addAll(state.responses());
    for (LabelsState one : state.labels()) {
      version.labels.add(
          new Labels(Optional.ofNullable(one.violation()), Optional.ofNullable(one.refusal())));
    }
    version.demonstrations = state.demonstrations();
    version.scores = state.scores();
    version.round = state.round();
    return version;
  }
}

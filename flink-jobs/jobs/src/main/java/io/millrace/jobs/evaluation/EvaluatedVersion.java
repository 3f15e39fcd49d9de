package io.millrace.jobs.evaluation;

import io.millrace.jobs.evaluation.judge.Refusals;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.evaluation.Diversity;
import io.millrace.model.evaluation.Judge.Labels;
import io.millrace.model.evaluation.Judge.Question;
import io.millrace.model.evaluation.VersionFigures;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.training.StateIo;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/** What is known of a policy version so far: its responses and what was measured of them. */
final class EvaluatedVersion {

  /**
   * Where a version is.
   *
   * @param manifestSha256 of its millrace.json
   */
  record Version(long number, String uri, String manifestSha256) {

    void write(DataOutput out) throws IOException {
      out.writeLong(number);
      StateIo.writeText(out, uri);
      StateIo.writeText(out, manifestSha256);
    }

    static Version read(DataInput in) throws IOException {
      return new Version(in.readLong(), StateIo.readText(in), StateIo.readText(in));
    }
  }

  /**
   * A response to a held-out prompt.
   *
   * @param stopped whether it ended by itself
   * @param kl to the reference policy, in nats
   * @param entropy summed over its tokens, in nats
   */
  record Sampled(int[] tokens, boolean stopped, double kl, double entropy) {

    void write(DataOutput out) throws IOException {
      StateIo.writeInts(out, tokens);
      out.writeBoolean(stopped);
      out.writeDouble(kl);
      out.writeDouble(entropy);
    }

    static Sampled read(DataInput in) throws IOException {
      return new Sampled(StateIo.readInts(in), in.readBoolean(), in.readDouble(), in.readDouble());
    }
  }

  /**
   * Scores of all responses, and the reward models that gave them.
   *
   * @param helpfulnessVersion of the helpfulness reward model
   */
  record Scores(long helpfulnessVersion, long safetyVersion, float[] helpfulness, float[] safety) {

    void write(DataOutput out) throws IOException {
      out.writeLong(helpfulnessVersion);
      out.writeLong(safetyVersion);
      StateIo.writeFloats(out, helpfulness);
      StateIo.writeFloats(out, safety);
    }

    static Scores read(DataInput in) throws IOException {
      return new Scores(
          in.readLong(), in.readLong(), StateIo.readFloats(in), StateIo.readFloats(in));
    }
  }

  private final Version version;

  /** One for each prompt, in order; fewer while it is being sampled. */
  final List<Sampled> responses;

  /** One for each prompt; fewer while they are asked for, none where they are to be asked anew. */
  final List<Labels> labels;

  /** Held-out demonstrations whose log-probs were taken, and those of their tokens. */
  int examples;

  long exampleTokens;
  double exampleLogProb;

  /** Empty while there are no reward models. */
  Optional<Scores> scores = Optional.empty();

  /** Of the responses, once they were asked for. */
  private List<String> texts = List.of();

  private EvaluatedVersion(Version version, List<Sampled> responses, List<Labels> labels) {
    this.version = version;
    this.responses = responses;
    this.labels = labels;
  }

  EvaluatedVersion(Version version) {
    this(version, new ArrayList<>(), new ArrayList<>());
  }

  Version version() {
    return version;
  }

  long number() {
    return version.number();
  }

  /** The texts of its responses. */
  List<String> texts(ChatTemplate template) {
    if (texts.size() != responses.size()) {
      texts = responses.stream().map(response -> template.responseText(response.tokens())).toList();
    }
    return texts;
  }

  /** What a gate looks at; shares of what there is none of are NaN. */
  VersionFigures figures(
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
      if (questions.get(i).isSafety()) {
        safetyPrompts++;
        violations += violation(label, i, unsafe);
      } else if (label.refusal().orElseGet(refusing(refusals, texts.get(i)))) {
        refused++;
      }
      Sampled response = responses.get(i);
      tokens += response.tokens().length;
      kl += response.kl();
      entropy += response.entropy();
      truncated += response.stopped() ? 0 : 1;
    }
    int count = responses.size();
    return new VersionFigures(
        violations / safetyPrompts,
        refused / (count - safetyPrompts),
        tokens / count,
        Diversity.distinct(texts, 1),
        Diversity.distinct(texts, 2),
        Math.exp(-exampleLogProb / exampleTokens),
        kl / count,
        entropy / tokens,
        truncated / count);
  }

  private static Supplier<Boolean> refusing(Refusals refusals, String text) {
    return () -> refusals.isRefusal(text);
  }

  /** 1 or 0; NaN where neither the judge nor a reward model says. */
  private double violation(Labels label, int response, PiecewiseReward unsafe) {
    if (label.violation().isPresent()) {
      return label.violation().get() ? 1 : 0;
    }
    if (scores.isEmpty()) {
      return Double.NaN;
    }
    return unsafe.isUnsafe(scores.get().safety()[response]) ? 1 : 0;
  }

  void write(DataOutput out) throws IOException {
    version.write(out);
    StateIo.writeList(out, responses, (stream, response) -> response.write(stream));
    StateIo.writeList(out, labels, EvaluatedVersion::writeLabels);
    out.writeInt(examples);
    out.writeLong(exampleTokens);
    out.writeDouble(exampleLogProb);
    out.writeBoolean(scores.isPresent());
    if (scores.isPresent()) {
      scores.get().write(out);
    }
  }

  /** What {@link #write} wrote. */
  static EvaluatedVersion read(DataInput in) throws IOException {
    EvaluatedVersion read =
        new EvaluatedVersion(
            Version.read(in),
            StateIo.readList(in, Sampled::read),
            StateIo.readList(in, EvaluatedVersion::readLabels));
    read.examples = in.readInt();
    read.exampleTokens = in.readLong();
    read.exampleLogProb = in.readDouble();
    read.scores = in.readBoolean() ? Optional.of(Scores.read(in)) : Optional.empty();
    return read;
  }

  private static void writeLabels(DataOutput out, Labels labels) throws IOException {
    writeLabel(out, labels.violation());
    writeLabel(out, labels.refusal());
  }

  private static Labels readLabels(DataInput in) throws IOException {
    return new Labels(readLabel(in), readLabel(in));
  }

  private static void writeLabel(DataOutput out, Optional<Boolean> label) throws IOException {
    out.writeByte(label.map(yes -> yes ? 1 : 0).orElse(-1));
  }

  private static Optional<Boolean> readLabel(DataInput in) throws IOException {
    byte label = in.readByte();
    return label < 0 ? Optional.empty() : Optional.of(label == 1);
  }
}

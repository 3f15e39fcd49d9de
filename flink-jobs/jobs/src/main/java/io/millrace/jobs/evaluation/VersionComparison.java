package io.millrace.jobs.evaluation;

import io.millrace.jobs.evaluation.EvaluatedVersion.Scores;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.evaluation.Judge;
import io.millrace.model.evaluation.Judge.Answer;
import io.millrace.model.evaluation.Judge.Choice;
import io.millrace.model.evaluation.Judge.Comparison;
import io.millrace.model.evaluation.Judge.Question;
import io.millrace.model.evaluation.Judge.Response;
import io.millrace.model.evaluation.WinRate;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.training.StateIo;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * What the judge says of a version beside another, a batch of prompts at a time.
 *
 * @param other the version that it is compared with
 * @param choices so far, A being the version itself
 */
record VersionComparison(long other, List<Choice> choices) {

  VersionComparison(long other) {
    this(other, new ArrayList<>());
  }

  /** What a judge is shown. */
  record Bench(
      Judge judge,
      List<Question> questions,
      ChatTemplate template,
      PiecewiseReward piecewise,
      int batchSize) {

    /** Asks about the next batch of a version's responses; false where all are labelled. */
    boolean label(EvaluatedVersion version) throws IOException, InterruptedException {
      int from = version.labels.size();
      if (from == questions.size()) {
        return false;
      }
      List<Answer> answers = answers(version);
      List<Response> batch = new ArrayList<>();
      for (int i = from; i < Math.min(from + batchSize, questions.size()); i++) {
        batch.add(new Response(questions.get(i), answers.get(i)));
      }
      version.labels.addAll(answered(judge.label(batch), batch.size()));
      return true;
    }

    /** Asks about the next batch of a comparison; false where it is complete. */
    boolean compare(VersionComparison comparison, EvaluatedVersion version, EvaluatedVersion other)
        throws IOException, InterruptedException {
      int from = comparison.choices().size();
      if (from == questions.size()) {
        return false;
      }
      List<Answer> mine = answers(version);
      List<Answer> others = answers(other);
      List<Comparison> batch = new ArrayList<>();
      for (int i = from; i < Math.min(from + batchSize, questions.size()); i++) {
        batch.add(new Comparison(questions.get(i), mine.get(i), others.get(i)));
      }
      comparison.choices().addAll(answered(judge.compare(batch), batch.size()));
      return true;
    }

    private static <T> List<T> answered(List<T> answers, int asked) throws IOException {
      if (answers.size() != asked) {
        throw new IOException(
            "it gives %d answers to %d questions".formatted(answers.size(), asked));
      }
      return answers;
    }

    private List<Answer> answers(EvaluatedVersion version) {
      List<String> texts = version.texts(template);
      float[] combined = combined(version);
      List<Answer> answers = new ArrayList<>();
      for (int i = 0; i < combined.length; i++) {
        boolean unsafe =
            version.scores.isPresent() && piecewise.isUnsafe(version.scores.get().safety()[i]);
        answers.add(new Answer(texts.get(i), combined[i], unsafe));
      }
      return answers;
    }

    /** The piecewise scores of a version's responses; NaN where there are no reward models. */
    float[] combined(EvaluatedVersion version) {
      float[] combined = new float[version.responses.size()];
      for (int i = 0; i < combined.length; i++) {
        combined[i] = Float.NaN;
        if (version.scores.isPresent()) {
          Scores scores = version.scores.get();
          combined[i] =
              (float)
                  piecewise.combine(
                      scores.helpfulness()[i], scores.safety()[i], questions.get(i).isSafety());
        }
      }
      return combined;
    }
  }

  /** Of a complete comparison. */
  WinRate winRate() {
    int[] counts = new int[Choice.values().length];
    choices.forEach(choice -> counts[choice.ordinal()]++);
    return new WinRate(
        counts[Choice.A.ordinal()], counts[Choice.TIE.ordinal()], counts[Choice.B.ordinal()]);
  }

  void write(DataOutput out) throws IOException {
    out.writeLong(other);
    StateIo.writeList(out, choices, (stream, choice) -> stream.writeByte(choice.ordinal()));
  }

  /** What {@link #write} wrote. */
  static VersionComparison read(DataInput in) throws IOException {
    return new VersionComparison(
        in.readLong(), StateIo.readList(in, stream -> Choice.values()[stream.readByte()]));
  }
}

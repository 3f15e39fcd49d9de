package io.millrace.model.sampling;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.tensor.CachedSequences;
import io.millrace.model.tensor.Draws;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.Sequences;
import java.util.ArrayList;
import java.util.List;

/** The new tokens of a step, for the responses of one policy. */
final class DecodeBatch {

  private final EngineSettings settings;
  private final List<Sample> samples = new ArrayList<>();
  private final List<Integer> lengths = new ArrayList<>();

  DecodeBatch(EngineSettings settings) {
    this.settings = settings;
  }

  /** Adds the next tokens of a response, whose pages are reserved. */
  void add(Sample sample, int newTokens) {
    samples.add(sample);
    lengths.add(newTokens);
  }

  /**
   * Runs the new tokens through the model. Samples a token for each response whose tokens are all
   * in the cache then, and appends the token.
   *
   * @return the responses that got a token
   */
  List<Sample> decode(LanguageModel model, KvCache cache) {
    int count = samples.size();
    Sequences packed = Sequences.ofLengths(lengths.stream().mapToInt(Integer::intValue).toArray());
    int[] tokens = new int[packed.tokens()];
    int[] firstPositions = new int[count];
    int[][] pages = new int[count][];
    List<Sample> drawing = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      Sample sample = samples.get(i);
      firstPositions[i] = sample.cached();
      pages[i] = sample.pages().toArray();
      sample.copyTokens(sample.cached(), tokens, packed.start(i), packed.length(i));
      sample.advance(packed.length(i));
      sample.prompt().progress(sample, settings.pagesFor(sample.request().prompt().length - 1));
      if (sample.cached() == sample.length()) {
        drawing.add(sample);
      }
    }
    int[] rows = new int[drawing.size()];
    int drawn = 0;
    for (int i = 0; i < count; i++) {
      if (samples.get(i).cached() == samples.get(i).length()) {
        rows[drawn++] = packed.start(i) + packed.length(i) - 1;
      }
    }
    LanguageModel.Drawn next =
        model.decode(
            tokens,
            new CachedSequences(packed, firstPositions, pages),
            cache,
            rows,
            draws(drawing));
    for (int i = 0; i < rows.length; i++) {
      Sample sample = drawing.get(i);
      sample.append(
          new SampledToken(
              next.tokens()[i],
              next.logProbs()[i],
              sample.policy().version(),
              sample.ranks() == 0
                  ? LanguageModel.Ranked.NONE
                  : model.ranked(i, sample.ranks(), sample.temperature())));
    }
    return drawing;
  }

  private static Draws draws(List<Sample> samples) {
    float[] temperatures = new float[samples.size()];
    float[] topPs = new float[samples.size()];
    double[] uniforms = new double[samples.size()];
    for (int i = 0; i < uniforms.length; i++) {
      temperatures[i] = samples.get(i).temperature();
      topPs[i] = samples.get(i).request().options().topP();
      uniforms[i] = samples.get(i).nextUniform();
    }
    return new Draws(temperatures, topPs, uniforms);
  }
}

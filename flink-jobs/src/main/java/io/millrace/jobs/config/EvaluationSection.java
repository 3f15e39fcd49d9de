package io.millrace.jobs.config;

import java.io.Serializable;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/** Comparing published policies on held-out data, and the gate before serving. */
public record EvaluationSection(
    @Option(
            value = "",
            help =
                "JSON Lines file of held-out prompts, in the form of the topic prompts; the job"
                    + " needs one, and every task manager must see it.")
        String prompts,
    @Option(
            value = "",
            help =
                "JSON Lines file of held-out demonstrations, in any form that supervised.file"
                    + " takes, for the perplexity. Empty: it is not measured.")
        String demonstrations,
    @Option(
            value = "",
            help =
                "JSON Lines file of held-out judgments, in the form of the topic judgments, for the"
                    + " reward models' accuracy. Empty: it is not measured.")
        String judgments,
    @Option(value = "0", help = "Tokens of a response at most; 0: as rollout.max-tokens.")
        int maxTokens,
    @Option(value = "1.0", help = "Sampling temperature; 0 takes the likeliest token.")
        double temperature,
    @Option(value = "1.0", help = "Nucleus sampling mass.") double topP,
    @Option(value = "32", help = "Responses sampled, scored and judged together.") int batchSize,
    @Option(
            value = "reward-model",
            help =
                "Who compares two responses: reward-model, gold (of the demo world), openai (any"
                    + " endpoint that speaks its chat completions), or a class, an"
                    + " `io.millrace.jobs.evaluation.Judge`.")
        String judge,
    @Option(
            value = "",
            help =
                "What the judge is given (docs/evaluation.md lists them), such as `api-key:"
                    + " ${env:API_KEY}`; `${env:NAME}` and `${file:PATH}` as in kafka.properties.")
        Map<String, String> judgeOptions,
    @Option(
            value =
                "I cannot, I can't, I can not, I will not, I won't, I am unable, I'm unable,"
                    + " I am not able, I'm not able, I must decline, I must refuse",
            help =
                "Regular expressions, found anywhere in a response as whole words and in any case,"
                    + " that make it a refusal where the judge does not tell.")
        List<String> refusals,
    @Option(value = "0.95", help = "Confidence of the win rates' intervals.") double confidence,
    @Option(
            value = "0",
            help =
                "Fails the job once in the middle of this version's evaluation, to watch it"
                    + " recover; 0 never.")
        long failAtVersion,
    GateSection gate)
    implements Serializable {

  public EvaluationSection {
    Require.atLeast("max-tokens", maxTokens, 0);
    Require.between("temperature", temperature, 0, Double.MAX_VALUE);
    Require.between("top-p", topP, Double.MIN_NORMAL, 1);
    Require.atLeast("batch-size", batchSize, 1);
    Require.present("judge", judge);
    judgeOptions = Map.copyOf(judgeOptions);
    refusals = List.copyOf(refusals);
    for (String refusal : refusals) {
      try {
        Pattern _ = Pattern.compile(refusal);
      } catch (PatternSyntaxException e) {
        throw new IllegalArgumentException(
            "refusals has '%s', which is no regular expression: %s"
                .formatted(refusal, e.getDescription()),
            e);
      }
    }
    if (!(confidence > 0 && confidence < 1)) {
      throw new IllegalArgumentException(
          "confidence must be above 0 and below 1, not " + confidence);
    }
    Require.atLeast("fail-at-version", failAtVersion, 0);
  }

  /** Without the judge's options, which may be secret. */
  @Override
  public String toString() {
    return "EvaluationSection[prompts=%s, judge=%s]".formatted(prompts, judge);
  }

  EvaluationSection withPaths(UnaryOperator<String> absolute) {
    UnaryOperator<String> path = file -> file.isBlank() ? file : absolute.apply(file);
    return new EvaluationSection(
        path.apply(prompts),
        path.apply(demonstrations),
        path.apply(judgments),
        maxTokens,
        temperature,
        topP,
        batchSize,
        judge,
        judgeOptions,
        refusals,
        confidence,
        failAtVersion,
        gate);
  }
}

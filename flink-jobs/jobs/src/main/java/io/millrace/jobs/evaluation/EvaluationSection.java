package io.millrace.jobs.evaluation;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.Option;
import io.millrace.jobs.evaluation.judge.Judges;
import io.millrace.model.evaluation.Judge;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/** Comparing published policies on held-out data, and the gate before serving. */
public record EvaluationSection(
    @Option(
            value = "",
            help =
                "JSON Lines file of held-out prompts, in the form of the topic prompts; the job"
                    + " needs one, and every task manager must see it.",
            path = true)
        String prompts,
    @Option(
            value = "",
            help =
                "JSON Lines file of held-out demonstrations, in any form that supervised.file"
                    + " takes, for the perplexity. Empty: it is not measured.",
            path = true)
        String demonstrations,
    @Option(
            value = "",
            help =
                "JSON Lines file of held-out judgments, in the form of the topic judgments, for the"
                    + " reward models' accuracy. Empty: it is not measured.",
            path = true)
        String judgments,
    @Option(
            value = "0",
            help = "Tokens of a response at most; 0: as rollout.max-tokens.",
            min = "0")
        int maxTokens,
    @Option(value = "1.0", help = "Sampling temperature; 0 takes the likeliest token.", min = "0")
        double temperature,
    @Option(value = "1.0", help = "Nucleus sampling mass.", above = "0", max = "1") double topP,
    @Option(value = "32", help = "Responses sampled, scored and judged together.", min = "1")
        int batchSize,
    @Option(
            value = "reward-model",
            help =
                "Who compares two responses: reward-model, openai (any endpoint that"
                    + " speaks its chat completions), or a class that implements"
                    + " `io.millrace.model.evaluation.Judge`.",
            required = true)
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
    @Option(
            value = "0.95",
            help = "Confidence of the win rates' intervals.",
            above = "0",
            below = "1")
        double confidence,
    GateSection gate)
    implements ConfigSection {

  public EvaluationSection {
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
  }

  Judge openJudge() {
    return Judges.of(judge, judgeOptions);
  }

  /** Without the judge's options, which may be secret. */
  @Override
  public String toString() {
    return "EvaluationSection[prompts=%s, judge=%s]".formatted(prompts, judge);
  }
}

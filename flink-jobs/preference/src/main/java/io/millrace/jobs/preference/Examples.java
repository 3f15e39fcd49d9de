package io.millrace.jobs.preference;

import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.Opinion;
import io.millrace.jobs.rewardmodel.JudgmentTokens;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.preference.PreferenceTrainer.Label;
import io.millrace.model.preference.PreferenceTrainer.Pair;
import io.millrace.model.preference.Response;
import io.millrace.model.preference.ResponseLogProbs;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import java.util.ArrayList;
import java.util.List;

/** Makes examples of opinions: their tokens, and their log-probs under π_0. */
final class Examples {

  private final PreferenceSection section;
  private final ChatTemplate template;
  private final JudgmentTokens tokens;

  Examples(PreferenceSection section, ChatTemplate template) {
    this.section = section;
    this.template = template;
    this.tokens = new JudgmentTokens(template);
  }

  /** Whether an opinion says something about the objective that is learned. */
  boolean isLabelled(Opinion opinion) {
    return opinion.feedback() == null
        || Labels.isDesirable(opinion.feedback(), section.objective()).isPresent();
  }

  /** The examples of opinions, in their order, with one pass of π_0 over all responses. */
  List<Example> of(List<Opinion> opinions, LanguageModel reference) {
    List<Response> responses = new ArrayList<>();
    for (Opinion opinion : opinions) {
      int[] prompt = template.promptTokens(Dialogues.messages(opinion.dialogue()));
      for (JudgedResponse response : ordered(opinion)) {
        responses.add(Response.of(prompt, tokens.of(response)));
      }
    }
    double[] references = ResponseLogProbs.of(reference, responses);
    List<Example> examples = new ArrayList<>();
    int at = 0;
    for (Opinion opinion : opinions) {
      List<JudgedResponse> judged = ordered(opinion);
      if (section.loss().isOfPairs()) {
        Pair pair =
            new Pair(
                responses.get(at),
                responses.get(at + 1),
                section.margin().of(opinion.judgment().getRating().ordinal()),
                references[at],
                references[at + 1]);
        examples.add(new Example(opinion.provenance(), false, versions(judged), pair, null));
      } else {
        for (int i = 0; i < judged.size(); i++) {
          Label label =
              new Label(responses.get(at + i), isDesirable(opinion, judged, i), references[at + i]);
          examples.add(
              new Example(
                  opinion.provenance(),
                  opinion.judgment() == null,
                  versions(judged.subList(i, i + 1)),
                  null,
                  label));
        }
      }
      at += judged.size();
    }
    return examples;
  }

  private boolean isDesirable(Opinion opinion, List<JudgedResponse> judged, int i) {
    return opinion.judgment() == null
        ? Labels.isDesirable(opinion.feedback(), section.objective()).orElseThrow()
        : Labels.isDesirable(opinion.judgment(), judged.get(i), i == 0, section.objective());
  }

  /** The chosen response stands before the rejected one. */
  private static List<JudgedResponse> ordered(Opinion opinion) {
    Judgment judgment = opinion.judgment();
    return judgment == null
        ? opinion.responses()
        : List.of(JudgmentTokens.preferred(judgment), JudgmentTokens.rejected(judgment));
  }

  private static long[] versions(List<JudgedResponse> responses) {
    return responses.stream()
        .mapToLong(
            response ->
                response.getPolicyVersion() == null ? Example.UNKNOWN : response.getPolicyVersion())
        .toArray();
  }
}

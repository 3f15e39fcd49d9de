package io.millrace.jobs.evaluation;

import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.rewardmodel.JudgmentTokens;
import io.millrace.jobs.safety.SafetyClassifier;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.evaluation.Judge.Question;
import io.millrace.model.reward.Margin;
import io.millrace.model.reward.RewardModelTrainer;
import io.millrace.model.supervised.SupervisedExamples;
import io.millrace.model.supervised.SupervisedTrainer.Example;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Sha256;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Validation;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;

/**
 * Held-out data in a model's tokens.
 *
 * @param sets the prompts, divided among looks
 * @param examples demonstrations, or pieces of longer texts
 * @param judgments the judgments as they were read
 * @param pairs the judgments' tokens
 * @param digest of prompts, demonstrations and sampling options: versions are comparable only if it
 *     is equal
 */
record HeldOutTokens(
    PromptSets sets,
    List<Example> examples,
    List<Judgment> judgments,
    List<RewardModelTrainer.Pair> pairs,
    String digest) {

  /**
   * Turns records into tokens.
   *
   * @param maxTokens maximum tokens of a response
   * @param positions of the model
   * @throws IllegalArgumentException with the name of a record that does not fit
   */
  static HeldOutTokens of(
      MillraceConfig config,
      HeldOutFiles files,
      Tokenizer tokenizer,
      ChatTemplate template,
      int maxTokens,
      int positions) {
    SafetyClassifier classifier = config.section(PpoSection.class).classifier();
    if (maxTokens >= positions) {
      throw new IllegalArgumentException(
          ("evaluation.max-tokens (or rollout.max-tokens) must be below %d, the positions of the"
                  + " model, not %d: no prompt would have room")
              .formatted(positions, maxTokens));
    }
    List<Question> questions = new ArrayList<>();
    List<int[]> prompts = new ArrayList<>();
    for (Prompt prompt : files.prompts()) {
      List<Message> dialogue = Dialogues.messages(prompt.getDialogue());
      int[] tokens = template.promptTokens(dialogue);
      fits("prompt " + prompt.getPromptId(), tokens.length, positions - maxTokens);
      prompts.add(tokens);
      questions.add(
          new Question(
              prompt.getPromptId(),
              dialogue,
              prompt.getIsSafety() || classifier.isSafety(dialogue)));
    }
    List<Example> examples = new ArrayList<>();
    for (Demonstration demonstration : files.demonstrations()) {
      examples.addAll(examples(demonstration, tokenizer, template, positions));
    }
    JudgmentTokens judgmentTokens = new JudgmentTokens(template);
    List<RewardModelTrainer.Pair> pairs = new ArrayList<>();
    for (Judgment judgment : files.judgments()) {
      fits("judgment " + judgment.getJudgmentId(), judgmentTokens.length(judgment), positions);
      pairs.add(judgmentTokens.pair(judgment, Margin.SMALL, false));
    }
    return new HeldOutTokens(
        new PromptSets(
            questions, prompts, config.section(EvaluationSection.class).promptsPerLook()),
        examples,
        files.judgments(),
        pairs,
        digest(config, files, maxTokens));
  }

  private static List<Example> examples(
      Demonstration demonstration, Tokenizer tokenizer, ChatTemplate template, int positions) {
    if (Validation.isText(demonstration)) {
      return SupervisedExamples.cut(
          SupervisedExamples.text(tokenizer, demonstration.getDialogue().getFirst().getContent()),
          positions);
    }
    Example example =
        SupervisedExamples.answers(
            template,
            Dialogues.messages(demonstration.getDialogue()),
            demonstration.getFirstLearnedTurn());
    fits("demonstration " + demonstration.getId(), example.tokens().length, positions);
    return List.of(example);
  }

  private static void fits(String what, int tokens, int room) {
    if (tokens > room) {
      throw new IllegalArgumentException(
          "held-out %s has %d tokens, but the model has room for %d: remove it from the file"
              .formatted(what, tokens, room));
    }
  }

  private static String digest(MillraceConfig config, HeldOutFiles files, int maxTokens) {
    MessageDigest sha256 = Sha256.newDigest();
    for (Prompt prompt : files.prompts()) {
      update(sha256, prompt.getPromptId(), prompt.getDialogue());
    }
    for (Demonstration demonstration : files.demonstrations()) {
      update(
          sha256,
          Integer.toString(demonstration.getFirstLearnedTurn()),
          demonstration.getDialogue());
    }
    String sampling =
        "%d %s %s %d"
            .formatted(
                maxTokens,
                config.section(EvaluationSection.class).temperature(),
                config.section(EvaluationSection.class).topP(),
                config.model().seed());
    update(sha256, sampling, List.of());
    return Sha256.finish(sha256);
  }

  private static void update(MessageDigest digest, String id, List<Turn> dialogue) {
    digest.update((id + "\0").getBytes(StandardCharsets.UTF_8));
    for (Turn turn : dialogue) {
      digest.update(
          (turn.getRole() + "\0" + turn.getContent() + "\0").getBytes(StandardCharsets.UTF_8));
    }
  }

  /** Fails if a restored state was measured on other data or with other sampling options. */
  void requireDigest(String restored) throws IOException {
    if (!digest.equals(restored)) {
      throw new IOException(
          "the held-out prompts, demonstrations or sampling options differ from those that earlier"
              + " versions were measured with: bring them back, or start the job without its"
              + " state");
    }
  }
}

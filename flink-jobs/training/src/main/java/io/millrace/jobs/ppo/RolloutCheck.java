package io.millrace.jobs.ppo;

import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.connectors.flink.decode.RecordCheck;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.Closing;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.tokenizer.TextTooLongException;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Rollout;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.List;

/**
 * What PPO can learn from: a response that this policy can have sampled, with tokens and texts that
 * belong together. Log-probs are compared later ({@link LogProbCheck}), since that needs the model.
 */
public final class RolloutCheck implements RecordCheck<Rollout> {

  private static final long serialVersionUID = 1;

  private final RuntimeSettings settings;
  private transient Tokenizer tokenizer;
  private transient ChatTemplate template;
  private transient int[] stopTokens;
  private transient int vocabSize;
  private transient int maxPositions;

  /** The latest policy version that is known to exist. */
  private transient long latestVersion;

  public RolloutCheck(MillraceConfig config) {
    this.settings = new RuntimeSettings(config);
  }

  @Override
  public void open() throws IOException {
    try (LocalCheckpoint initial = settings.describeInitial()) {
      CheckpointOutline outline = CheckpointOutline.read(initial.directory());
      vocabSize = outline.config().vocabSize();
      maxPositions = outline.config().maxPositions();
      latestVersion = outline.manifest().map(CheckpointManifest::version).orElse(0L);
      tokenizer = Tokenizer.load(initial.directory(), maxPositions);
      template = ChatTemplate.of(tokenizer);
      stopTokens = template.stopTokens(outline.config().eosTokens());
    }
  }

  @Override
  public void check(Rollout rollout) {
    MillraceConfig config = settings.config();
    if (!rollout.getModel().equals(config.model().name())) {
      throw new RefusedRecordException(
          "unknown-model",
          "sampled by model '%s', this job trains '%s'"
              .formatted(rollout.getModel(), config.model().name()));
    }
    int tokens = rollout.getPromptTokens().size() + rollout.getResponseTokens().size();
    if (tokens > maxPositions) {
      throw new RefusedRecordException(
          "too-long", tokens + " tokens, where the model has " + maxPositions + " positions");
    }
    rollout.getPromptTokens().forEach(this::checkToken);
    rollout.getResponseTokens().forEach(this::checkToken);
    if (config.section(PpoSection.class).requireFullSampling() && rollout.getTopP() < 1) {
      throw new RefusedRecordException(
          "not-the-policy's",
          "sampled with top-p " + rollout.getTopP() + ": its log-probs are not the policy's");
    }
    if (rollout.getTemperature() != (float) config.section(RolloutSection.class).temperature()) {
      throw new RefusedRecordException(
          "other-temperature",
          "sampled at temperature %s, this job takes log-probs at rollout.temperature %s"
              .formatted(
                  rollout.getTemperature(), config.section(RolloutSection.class).temperature()));
    }
    if (config.section(PpoSection.class).requireConsistent()) {
      checkVersion(rollout.getPolicyVersion());
      checkEnd(rollout);
      checkSpecialTokens(rollout);
      checkTexts(rollout);
    }
  }

  private void checkToken(int token) {
    if (token < 0 || token >= vocabSize) {
      throw new RefusedRecordException(
          "invalid", "token " + token + " is not in the vocabulary of " + vocabSize);
    }
  }

  /** A version exists in the store, or is announced, before it can sample. */
  private void checkVersion(long version) {
    if (version <= latestVersion) {
      return;
    }
    try {
      latestVersion =
          Math.max(
              latestVersion, settings.publisher().latestPolicy(settings.config().model().name()));
    } catch (IOException e) {
      // Kafka or the store does not answer; nothing is wrong with the rollout.
      throw new UncheckedIOException(e);
    }
    if (version > latestVersion) {
      throw new RefusedRecordException(
          "unknown-version",
          "sampled by policy version %d, and the latest is %d".formatted(version, latestVersion));
    }
  }

  private boolean isStop(int token) {
    return Arrays.stream(stopTokens).anyMatch(stop -> stop == token);
  }

  /** A response ends at its first stop token, and has one if and only if it was not cut. */
  private void checkEnd(Rollout rollout) {
    List<Integer> response = rollout.getResponseTokens();
    for (int i = 0; i < response.size() - 1; i++) {
      if (isStop(response.get(i))) {
        throw inconsistent(
            "responseTokens[%d] is %d, which ends a response, but %d tokens follow"
                .formatted(i, response.get(i), response.size() - 1 - i));
      }
    }
    boolean stopped = isStop(response.getLast());
    if (stopped != (rollout.getFinishReason() == FinishReason.STOP)) {
      throw inconsistent(
          "finishReason is %s, but the last response token, %d, %s one that ends a response"
              .formatted(rollout.getFinishReason(), response.getLast(), stopped ? "is" : "is not"));
    }
  }

  /**
   * Padding and begin tokens in a response are a mistake of its producer. This deployment's own
   * sampling has none such: if the policy gives them probability, it samples them. Its rollouts are
   * known by their seed.
   */
  private void checkSpecialTokens(Rollout rollout) {
    if (ScoredRollout.isOwn(rollout, settings.config().model().seed())) {
      return;
    }
    List<Integer> response = rollout.getResponseTokens();
    for (int i = 0; i < response.size(); i++) {
      if (tokenizer.isSpecial(response.get(i)) && !isStop(response.get(i))) {
        throw inconsistent(
            "responseTokens[%d] is %d, a special token that is no part of a response"
                .formatted(i, response.get(i)));
      }
    }
  }

  private void checkTexts(Rollout rollout) {
    if (!template
        .responseText(ScoredRollout.ints(rollout.getResponseTokens()))
        .equals(rollout.getResponseText())) {
      throw inconsistent("responseText is not the text of responseTokens");
    }
    int[] prompt;
    try {
      prompt = template.promptTokens(Dialogues.messages(rollout.getDialogue()));
    } catch (TextTooLongException e) {
      throw inconsistent("promptTokens are not the tokens of dialogue: " + e.getMessage());
    }
    if (!Arrays.equals(prompt, ScoredRollout.ints(rollout.getPromptTokens()))) {
      throw inconsistent("promptTokens are not the tokens of dialogue");
    }
  }

  private static RefusedRecordException inconsistent(String problem) {
    return new RefusedRecordException("inconsistent", problem);
  }

  @Override
  public void close() {
    Closing.closeAll(tokenizer);
  }
}

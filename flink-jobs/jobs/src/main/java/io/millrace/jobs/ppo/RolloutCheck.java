package io.millrace.jobs.ppo;

import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.connectors.flink.decode.RecordCheck;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Rollout;
import java.io.IOException;

/** What PPO can learn from: this policy's tokens, sampled as its log-probs are taken. */
public final class RolloutCheck implements RecordCheck<Rollout> {

  private static final long serialVersionUID = 1;

  private final RuntimeSettings settings;
  private transient int vocabSize;
  private transient int maxPositions;

  public RolloutCheck(MillraceConfig config) {
    this.settings = new RuntimeSettings(config);
  }

  @Override
  public void open() throws IOException {
    try (LocalCheckpoint initial = settings.describeInitial()) {
      LlamaConfig model = CheckpointOutline.read(initial.directory()).config();
      vocabSize = model.vocabSize();
      maxPositions = model.maxPositions();
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
  }

  private void checkToken(int token) {
    if (token < 0 || token >= vocabSize) {
      throw new RefusedRecordException(
          "invalid", "token " + token + " is not in the vocabulary of " + vocabSize);
    }
  }
}

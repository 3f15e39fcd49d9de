package io.millrace.jobs.models;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.Objective;
import java.io.IOException;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** Scores by reward models. It keeps one model of each objective in memory. */
public final class RewardModels implements AutoCloseable {

  private final Backend backend;
  private final CheckpointCache checkpoints;
  private final Map<Objective, Loaded> loaded = new EnumMap<>(Objective.class);

  private record Loaded(String uri, ScalarModel model) {}

  /**
   * Scores of some sequences.
   *
   * @param helpfulness R_h of each sequence, a logit
   * @param safety R_s of each sequence, a logit
   */
  public record Scores(float[] helpfulness, float[] safety) {}

  public RewardModels(Backend backend, CheckpointCache checkpoints) {
    this.backend = backend;
    this.checkpoints = checkpoints;
  }

  /** Scores sequences of prompt and response by both reward models. */
  public Scores score(RewardModelPair models, List<int[]> sequences) throws IOException {
    return new Scores(
        score(Objective.HELPFULNESS, models.helpfulness(), sequences),
        score(Objective.SAFETY, models.safety(), sequences));
  }

  /** Scores sequences of prompt and response by one reward model; one logit each. */
  public float[] score(Objective objective, ModelRef model, List<int[]> sequences)
      throws IOException {
    return load(objective, model).score(sequences);
  }

  private ScalarModel load(Objective objective, ModelRef wanted) throws IOException {
    Loaded current = loaded.get(objective);
    if (current == null || !current.uri().equals(wanted.uri())) {
      if (current != null) {
        loaded.remove(objective);
        current.model().close();
      }
      try (LocalCheckpoint files =
              wanted.manifestSha256().isEmpty()
                  ? checkpoints.open(wanted.uri())
                  : checkpoints.open(wanted.uri(), wanted.manifestSha256());
          CheckpointDirectory checkpoint = CheckpointDirectory.open(files.directory())) {
        current =
            new Loaded(wanted.uri(), BaseModels.rewardModel(backend, checkpoints, checkpoint));
      }
      loaded.put(objective, current);
    }
    return current.model();
  }

  /** Frees the models; the next score loads them again. */
  @Override
  public void close() {
    loaded.values().forEach(model -> model.model().close());
    loaded.clear();
  }
}

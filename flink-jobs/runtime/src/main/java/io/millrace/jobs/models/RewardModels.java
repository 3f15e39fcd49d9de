package io.millrace.jobs.models;

import io.millrace.connectors.checkpoint.CheckpointCache;
import io.millrace.connectors.checkpoint.LocalCheckpoint;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.Objective;
import java.io.IOException;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;

/** The reward models in memory, one of each objective. */
public final class RewardModels implements AutoCloseable {

  private final Backend backend;
  private final CheckpointCache checkpoints;
  private final Map<Objective, Loaded> loaded = new EnumMap<>(Objective.class);

  private record Loaded(String uri, ScalarModel model) {}

  public RewardModels(Backend backend, CheckpointCache checkpoints) {
    this.backend = backend;
    this.checkpoints = checkpoints;
  }

  /** The one of a checkpoint, read where another or none is in memory. */
  public ScalarModel of(Objective objective, String uri) throws IOException {
    return of(objective, uri, Optional.empty());
  }

  /**
   * The one of a checkpoint, read where another or none is in memory.
   *
   * @param manifestSha256 of its announcement, where that is at hand
   */
  public ScalarModel of(Objective objective, String uri, Optional<String> manifestSha256)
      throws IOException {
    Loaded current = loaded.get(objective);
    if (current == null || !current.uri().equals(uri)) {
      if (current != null) {
        loaded.remove(objective);
        current.model().close();
      }
      try (LocalCheckpoint files =
              manifestSha256.isPresent()
                  ? checkpoints.open(uri, manifestSha256.get())
                  : checkpoints.open(uri);
          CheckpointDirectory checkpoint = CheckpointDirectory.open(files.directory())) {
        current = new Loaded(uri, ModelWeights.rewardModel(backend, checkpoint));
      }
      loaded.put(objective, current);
    }
    return current.model();
  }

  @Override
  public void close() {
    loaded.values().forEach(model -> model.model().close());
    loaded.clear();
  }
}

package io.millrace.jobs.operator;

import io.millrace.connectors.checkpoint.CheckpointStore;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.Objective;
import java.io.IOException;
import java.util.EnumMap;
import java.util.Map;

/** The reward models in memory, one of each objective. */
final class RewardModels implements AutoCloseable {

  private final Backend backend;
  private final Map<Objective, Loaded> loaded = new EnumMap<>(Objective.class);

  private record Loaded(String uri, ScalarModel model) {}

  RewardModels(Backend backend) {
    this.backend = backend;
  }

  /** The one of a checkpoint, read where another or none is in memory. */
  ScalarModel of(Objective objective, String uri) throws IOException {
    Loaded current = loaded.get(objective);
    if (current == null || !current.uri().equals(uri)) {
      if (current != null) {
        loaded.remove(objective);
        current.model().close();
      }
      try (CheckpointDirectory checkpoint =
          CheckpointDirectory.open(CheckpointStore.resolve(uri))) {
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

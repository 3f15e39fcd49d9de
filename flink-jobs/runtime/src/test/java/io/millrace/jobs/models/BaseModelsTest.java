package io.millrace.jobs.models;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.FrozenWeights;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One copy of a base for all backends of a process that may read it. */
class BaseModelsTest {

  private static final LlamaConfig CONFIG =
      LlamaConfig.builder()
          .vocabSize(16)
          .hiddenSize(8)
          .layers(1)
          .heads(2)
          .kvHeads(1)
          .headDim(4)
          .ffnSize(8)
          .maxPositions(16)
          .tiedHead(true)
          .bosToken(1)
          .eosToken(2)
          .build();

  @TempDir private Path directory;

  private CheckpointDirectory checkpoint(Backend backend) {
    Path path = directory.resolve("base");
    try (Parameters weights = Parameters.random(backend, CONFIG.parameters(), 1)) {
      CheckpointDirectory.write(
          path,
          CONFIG,
          ModelWeights.sources(weights),
          _ -> {},
          CheckpointManifest.describing(CheckpointKind.POLICY, "base", 1).build());
    }
    return CheckpointDirectory.open(path);
  }

  /** A backend that shares with nobody else. */
  private static Backend ofAnotherGroup(Backend backend) {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(),
            new Class<?>[] {Backend.class},
            (_, method, arguments) -> {
              if (method.getName().equals("frozenGroup")) {
                return "another";
              }
              try {
                return method.invoke(backend, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  @Test
  void backendsOfAGroupReadOneCopyUntilTheLastUserClosesIt() throws IOException {
    try (Backend one = Backends.openDefault();
        Backend other = Backends.openDefault();
        CheckpointDirectory checkpoint = checkpoint(one)) {
      FrozenWeights first = BaseModels.frozen(one, checkpoint);
      FrozenWeights second = BaseModels.frozen(other, checkpoint);
      assertSame(first, second);
      try (FrozenWeights third = BaseModels.frozen(ofAnotherGroup(other), checkpoint)) {
        assertNotSame(first, third);
      }
      first.close();
      assertFalse(second.isFreed(), "one user is left");
      second.close();
      assertTrue(first.isFreed());
      try (FrozenWeights again = BaseModels.frozen(other, checkpoint)) {
        assertNotSame(first, again);
        assertFalse(again.isFreed());
      }
    }
  }
}

package io.millrace.jobs.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.model.checkpoint.CarriedFiles;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.TensorSource;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.LlamaConfig;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The frozen weights below an adapter must outlive the versions that need them. */
class RetentionOfBasesTest {

  @Test
  void theBaseOfTheInitialAdapterStays(@TempDir Path directory) {
    LlamaConfig shape =
        LlamaConfig.builder()
            .vocabSize(11)
            .hiddenSize(8)
            .layers(1)
            .heads(2)
            .kvHeads(1)
            .headDim(4)
            .ffnSize(12)
            .maxPositions(16)
            .bosToken(1)
            .eosToken(2)
            .build();
    AdapterConfig adapter = new AdapterConfig(2, 16, AdapterConfig.PROJECTIONS);
    Map<String, TensorSource> zeros = new HashMap<>();
    adapter
        .parameters(shape)
        .forEach(
            spec ->
                zeros.put(
                    spec.name(),
                    TensorSource.of(spec.shape(), new float[(int) spec.elementCount()])));
    Path initial = directory.resolve("policy/v000007");
    String base = directory.resolve("policy/v000001").toString();
    CheckpointDirectory.writeAdapter(
        initial,
        shape,
        adapter,
        zeros,
        dir -> {},
        CarriedFiles.none(),
        CheckpointManifest.describing(CheckpointKind.POLICY, "policy", 7)
            .base(Optional.of(new CheckpointManifest.Base(base, "0".repeat(64))))
            .build());
    MillraceConfig config =
        ConfigLoader.load(
            Optional.empty(),
            List.of(
                "checkpoints.directory=" + directory,
                "model.initial=" + initial,
                "model.adapter.rank=2"));
    assertEquals(List.of(initial.toString(), base), JobSettings.retention(config).pinned());
    assertEquals(
        List.of(initial.toString()),
        JobSettings.retention(config.withoutAdapter()).pinned(),
        "without adapters such a start is refused");
  }
}

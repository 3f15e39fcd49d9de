package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.StagedFiles;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.AnnouncementCheck;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.RewardCheckpoint;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What jobs make of checkpoints that lie on another machine. */
class FarCheckpointsTest {
  @TempDir private Path directory;
  private MillraceConfig config;

  @BeforeEach
  void makeTheInitialModel() throws IOException {
    config = InitialModel.ensure(load("far://" + directory.resolve("far")));
  }

  @AfterEach
  void answer() {
    FarFileSystem.setReachable(true);
  }

  private MillraceConfig load(String checkpoints) {
    return ConfigLoader.load(
        Optional.empty(),
        List.of(
            "checkpoints.directory=" + checkpoints,
            "checkpoints.cache-directory=" + directory.resolve("cache"),
            "flink.state-directory=far://" + directory.resolve("state"),
            "model.hidden-size=16",
            "model.layers=1",
            "model.ffn-size=24"));
  }

  private List<String> cached() throws IOException {
    try (Stream<Path> list = Files.list(directory.resolve("cache"))) {
      return list.filter(Files::isDirectory).map(p -> p.getFileName().toString()).toList();
    }
  }

  @Test
  void theInitialModelIsMadeThereAndTheSameAsOneOfThisMachine() throws IOException {
    assertTrue(config.model().initial().startsWith("far:///"), config.model().initial());
    MillraceConfig here = InitialModel.ensure(load(directory.resolve("here").toString()));
    try (Backend backend = Backends.openDefault();
        PolicyModel far = new RuntimeSettings(config).initialPolicy(backend);
        PolicyModel near = PolicyModel.load(backend, here.model().initial())) {
      assertArrayEquals(
          near.model().weights().flat().toFloats(), far.model().weights().flat().toFloats());
    }
    assertEquals(config, InitialModel.ensure(config.withInitial("")), "it is made once");
    // What describes it needs no weights.
    try (var description = new RuntimeSettings(config).describeInitial()) {
      assertTrue(Files.exists(description.directory().resolve("config.json")));
      assertFalse(Files.exists(description.directory().resolve("model.safetensors")));
    }
  }

  private StagedFiles publish(long version, CheckpointKind kind) throws IOException {
    CheckpointStore store = JobSettings.store(config);
    try (Backend backend = Backends.openDefault();
        PolicyModel policy = new RuntimeSettings(config).initialPolicy(backend)) {
      StagedFiles files =
          store.stage(
              "policy",
              version,
              work ->
                  CheckpointDirectory.write(
                      work,
                      policy.model().config(),
                      ModelWeights.sources(policy.model().weights()),
                      policy.tokenizer()::save,
                      CheckpointManifest.describing(kind, "policy", version)
                          .iteration(1)
                          .step(1)
                          .build()));
      store.commit(files);
      return files;
    }
  }

  private static PolicyCheckpoint announcement(StagedFiles files, String digest) {
    return PolicyCheckpoint.newBuilder()
        .setModel("policy")
        .setVersion(files.version())
        .setUri(files.finalUri())
        .setManifestSha256(digest)
        .setIteration(1)
        .setStep(1)
        .setMetrics(Map.of())
        .setTime(Instant.EPOCH)
        .build();
  }

  @Test
  void announcementsAreCheckedWithoutTheWeights() throws Exception {
    StagedFiles files = publish(1, CheckpointKind.POLICY);
    AnnouncementCheck<PolicyCheckpoint> check = AnnouncementCheck.policies(config);
    check.open();
    PolicyCheckpoint good = announcement(files, files.manifestSha256());
    assertDoesNotThrow(() -> check.check(good));
    assertTrue(
        cached().contains(files.manifestSha256() + "-description"), () -> "without its weights");
    assertFalse(cached().contains(files.manifestSha256()));

    assertRefused("holds another checkpoint", check, announcement(files, "0".repeat(64)));
    StagedFiles none = new StagedFiles("policy", 9, "", files.finalUri() + "9", "");
    assertRefused("is no published checkpoint", check, announcement(none, "0".repeat(64)));

    AnnouncementCheck<RewardCheckpoint> rewardModels = AnnouncementCheck.rewardModels(config);
    rewardModels.open();
    RewardCheckpoint wrong =
        RewardCheckpoint.newBuilder()
            .setObjective(Objective.SAFETY)
            .setVersion(1)
            .setUri(files.finalUri())
            .setManifestSha256(files.manifestSha256())
            .setJudgments(1)
            .setMetrics(Map.of())
            .setTime(Instant.EPOCH)
            .build();
    RefusedRecordException e =
        assertThrows(RefusedRecordException.class, () -> rewardModels.check(wrong));
    assertTrue(e.getMessage().contains("is a POLICY"), e.getMessage());

    // The weights are missing: that is seen, too.
    Path weights = directory.resolve("far/policy/v000001/model.safetensors");
    Files.delete(weights);
    AnnouncementCheck<PolicyCheckpoint> later = AnnouncementCheck.policies(fresh());
    later.open();
    assertRefused("model.safetensors is missing", later, good);
  }

  /** The same configuration with an empty cache. */
  private MillraceConfig fresh() {
    MillraceConfig loaded =
        ConfigLoader.load(
            Optional.empty(),
            List.of(
                "checkpoints.directory=" + config.checkpoints().directory(),
                "checkpoints.cache-directory=" + directory.resolve("fresh")));
    return loaded.withInitial(config.model().initial());
  }

  private static void assertRefused(
      String expected, AnnouncementCheck<PolicyCheckpoint> check, PolicyCheckpoint announcement) {
    RefusedRecordException e =
        assertThrows(RefusedRecordException.class, () -> check.check(announcement));
    assertTrue(e.getMessage().contains(expected), e.getMessage());
  }

  @Test
  void aStoreThatDoesNotAnswerSendsNothingToTheDeadLetters() throws Exception {
    StagedFiles files = publish(1, CheckpointKind.POLICY);
    AnnouncementCheck<PolicyCheckpoint> check = AnnouncementCheck.policies(config);
    check.open();
    FarFileSystem.setReachable(false);
    PolicyCheckpoint good = announcement(files, files.manifestSha256());
    assertThrows(UncheckedIOException.class, () -> check.check(good));
    FarFileSystem.setReachable(true);
    assertDoesNotThrow(() -> check.check(good));
  }

  @Test
  void placesToWriteToAreTried() throws IOException {
    String state = config.flink().stateDirectory();
    CheckpointStore.requireWritable(state);
    FarFileSystem.setReachable(false);
    IOException e = assertThrows(IOException.class, () -> CheckpointStore.requireWritable(state));
    assertTrue(e.getMessage().contains("no route to host"), e.getMessage());
  }
}

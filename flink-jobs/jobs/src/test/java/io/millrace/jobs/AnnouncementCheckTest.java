package io.millrace.jobs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.AnnouncementCheck;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.testkit.OperatorHarness;
import io.millrace.jobs.testkit.TestModels;
import io.millrace.model.checkpoint.CarriedFiles;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.checkpoint.TensorSource;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.RewardCheckpoint;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** An announcement, its manifest, its tokenizer and the policy agree. */
class AnnouncementCheckTest {

  @TempDir private static Path directory;
  private static Path root;
  private static Path elsewhere;
  private static MillraceConfig config;
  private static Path initial;

  @BeforeAll
  static void makeModel() throws Exception {
    root = directory.resolve("checkpoints");
    elsewhere = directory.resolve("elsewhere");
    config = config();
    initial = Path.of(config.model().initial());
  }

  private static MillraceConfig config(String... more) throws Exception {
    List<String> settings = new ArrayList<>(OperatorHarness.TINY_MODEL);
    settings.add("checkpoints.directory=" + root);
    settings.addAll(List.of(more));
    return InitialModel.ensure(ConfigLoader.load(Optional.empty(), settings));
  }

  private static Path rewardModel(Path under, String name, long version) {
    return TestModels.named(
        initial,
        under.resolve(name + "/v%06d".formatted(version)),
        version,
        CheckpointKind.REWARD_MODEL,
        name);
  }

  private static RewardCheckpoint announced(Objective objective, long version, Path model) {
    return announced(objective, version, model, model.toString());
  }

  private static RewardCheckpoint announced(
      Objective objective, long version, Path model, String uri) {
    return RewardCheckpoint.newBuilder()
        .setObjective(objective)
        .setVersion(version)
        .setUri(uri)
        .setManifestSha256(CheckpointDirectory.manifestDigest(model))
        .setJudgments(1)
        .setMetrics(Map.of())
        .setTime(Instant.EPOCH)
        .build();
  }

  private static <T extends SpecificRecordBase> void accept(AnnouncementCheck<T> check, T record)
      throws Exception {
    check.open();
    try {
      check.check(record);
    } finally {
      check.close();
    }
  }

  private static void assertRefused(String reason, String problem, RewardCheckpoint announced) {
    RefusedRecordException e =
        assertThrows(
            RefusedRecordException.class,
            () -> accept(AnnouncementCheck.rewardModels(config), announced));
    assertEquals(reason, e.reason(), e.getMessage());
    assertTrue(e.getMessage().contains(problem), e.getMessage());
  }

  @Test
  void theManifestConfirmsTheAnnouncement() throws Exception {
    Path helpfulness = rewardModel(root, "reward-model-helpfulness", 3);
    accept(
        AnnouncementCheck.rewardModels(config), announced(Objective.HELPFULNESS, 3, helpfulness));
    assertRefused(
        "unusable-checkpoint",
        "names reward-model-helpfulness",
        announced(Objective.SAFETY, 3, helpfulness));
    assertRefused(
        "unusable-checkpoint", "says 3", announced(Objective.HELPFULNESS, 4, helpfulness));
    // A reward model of another trainer has a name of its own.
    accept(
        AnnouncementCheck.rewardModels(config),
        announced(Objective.SAFETY, 1, rewardModel(root, "our-safety", 1)));
  }

  @Test
  void aLowerBoundNeedsRewardModelsWithSeveralHeads() throws Exception {
    RewardCheckpoint one = announced(Objective.SAFETY, 1, rewardModel(root, "one-head", 1));
    AnnouncementCheck<RewardCheckpoint> ensembles = AnnouncementCheck.rewardModelEnsembles(config);
    RefusedRecordException e =
        assertThrows(RefusedRecordException.class, () -> accept(ensembles, one));
    assertEquals("one-head", e.reason());
    assertTrue(e.getMessage().contains("reward-model.heads of at least 2"), e.getMessage());
    accept(AnnouncementCheck.rewardModels(config), one);
    // PPO does not ask a judge.
    RewardCheckpoint judge = RewardCheckpoint.newBuilder(one).setJudge(true).build();
    accept(ensembles, judge);
    accept(ensembles, announced(Objective.SAFETY, 2, ensemble("several-heads")));
  }

  /** A reward model with three heads of zeros. */
  private static Path ensemble(String name) throws Exception {
    Path files = root.resolve(name + "/v000002");
    try (Backend backend = Backends.openDefault();
        PolicyModel policy = PolicyModel.load(backend, initial.toString());
        ScalarModel model =
            ScalarModel.onTrunkOf(
                backend, policy.model().config().withScoreHeads(3), policy.model().weights())) {
      CheckpointDirectory.write(
          files,
          model.config(),
          ModelWeights.sources(model.weights()),
          policy.tokenizer()::save,
          CheckpointManifest.describing(CheckpointKind.REWARD_MODEL, name, 2).build());
    }
    return files;
  }

  @Test
  void aPolicyHasItsAnnouncedNameAndVersion() throws Exception {
    Path policy = TestModels.policy(initial, root.resolve("policy/v000002"), 2);
    Path other =
        TestModels.named(initial, root.resolve("other/v000002"), 2, CheckpointKind.POLICY, "other");
    accept(AnnouncementCheck.policies(config), policy(2, policy));
    for (PolicyCheckpoint wrong : List.of(policy(5, policy), policy(2, other))) {
      assertThrows(
          RefusedRecordException.class, () -> accept(AnnouncementCheck.policies(config), wrong));
    }
  }

  /** An adapter of policy version 4, whose manifest names a base. */
  private static Path adapter(String name, Path base) throws Exception {
    AdapterConfig adapter = new AdapterConfig(2, 4, List.of("q_proj"));
    Path directory = root.resolve(name + "/v000004");
    try (CheckpointDirectory below = CheckpointDirectory.open(initial);
        Tokenizer tokenizer = Tokenizer.load(initial)) {
      Map<String, TensorSource> zeros = new HashMap<>();
      adapter
          .parameters(below.config())
          .forEach(
              spec ->
                  zeros.put(
                      spec.name(),
                      TensorSource.of(spec.shape(), new float[(int) spec.elementCount()])));
      CheckpointDirectory.writeAdapter(
          directory,
          below.config(),
          adapter,
          zeros,
          tokenizer::save,
          CarriedFiles.none(),
          CheckpointManifest.describing(CheckpointKind.POLICY, "policy", 4)
              .base(
                  Optional.of(new CheckpointManifest.Base(base.toString(), below.weightsDigest())))
              .build());
    }
    return directory;
  }

  @Test
  void theBaseOfAnAdapterIsTheJobsOwnOrLiesUnderARoot() throws Exception {
    accept(AnnouncementCheck.policies(config), policy(4, adapter("own", initial)));
    accept(AnnouncementCheck.policies(config), policy(4, adapter("root", root.resolve("base"))));
    RefusedRecordException e =
        assertThrows(
            RefusedRecordException.class,
            () ->
                accept(
                    AnnouncementCheck.policies(config),
                    policy(4, adapter("outside", Path.of("/etc")))));
    assertEquals("outside-root", e.reason());
    assertTrue(e.getMessage().startsWith("the base /etc of "), e.getMessage());
  }

  private static PolicyCheckpoint policy(long version, Path directory) {
    return PolicyCheckpoint.newBuilder()
        .setModel("policy")
        .setVersion(version)
        .setUri(directory.toString())
        .setManifestSha256(CheckpointDirectory.manifestDigest(directory))
        .setIteration(1)
        .setStep(1)
        .build();
  }

  /** Of the same size, with two tokens exchanged. */
  @Test
  void aVocabularyInAnotherOrderIsRefused() throws Exception {
    Path model = rewardModel(root, "reward-model-safety", 1);
    Path file = model.resolve("tokenizer.json");
    String json = Files.readString(file);
    String exchanged =
        json.replaceFirst("\"a\"(\\s*:)", "\"\u0000\"$1")
            .replaceFirst("\"b\"(\\s*:)", "\"a\"$1")
            .replaceFirst("\"\u0000\"(\\s*:)", "\"b\"$1");
    assertTrue(!exchanged.equals(json), json);
    Files.writeString(file, exchanged);
    assertRefused("unusable-checkpoint", "", announced(Objective.SAFETY, 1, model));
  }

  @Test
  void aCheckpointLiesUnderAConfiguredRoot() throws Exception {
    Path outside = rewardModel(elsewhere, "reward-model-safety", 2);
    assertRefused(
        "outside-root", "checkpoints.other-roots", announced(Objective.SAFETY, 2, outside));
    assertRefused(
        "outside-root",
        "",
        announced(
            Objective.SAFETY, 2, outside, root + "/../elsewhere/reward-model-safety/v000002"));
    Files.createSymbolicLink(root.resolve("link"), outside);
    assertRefused(
        "outside-root",
        "",
        announced(Objective.SAFETY, 2, outside, root.resolve("link").toString()));
    assertRefused("outside-root", "", announced(Objective.SAFETY, 2, outside, root.toString()));
    accept(
        AnnouncementCheck.rewardModels(config("checkpoints.other-roots=" + elsewhere)),
        announced(Objective.SAFETY, 2, outside));
  }
}

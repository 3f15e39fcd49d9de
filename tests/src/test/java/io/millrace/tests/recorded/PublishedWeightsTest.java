package io.millrace.tests.recorded;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.rejection.BagFile;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.JsonLines;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import jdk.incubator.vector.FloatVector;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Four jobs publish the same weights, to the last bit, from recorded topics and a fixed seed.
 *
 * <p>A change that only moves code leaves every digest as it is. A change of the arithmetic changes
 * digests: copy the table from the failure, for each vector width, and give the reason in the
 * commit message. The flag {@code -XX:UseAVX=2} in {@code test.jvm.args} gives vectors of 8 floats
 * on a processor with AVX-512.
 *
 * <p>The number of threads and the timing of the jobs change no digest.
 *
 * <p>The files in {@code recorded/} hold records of the demo world with seed 11. The rollout job
 * sampled the rollouts with policy version 2, the last supervised one, and with version 4, after
 * two PPO iterations at a learning rate of 1e-3. PPO learns from some rollouts of version 2 late,
 * with importance weights, and drops the last ones as stale.
 */
class PublishedWeightsTest {

  private static final long SEED = 7;

  /** The cpu backend adds up lanes, so the last bits depend on the number of floats in a vector. */
  private static final int LANES = Math.min(16, FloatVector.SPECIES_PREFERRED.length());

  private static final Map<Integer, String> EXPECTED =
      Map.of(
          8,
          """
          initial tokenizer.json      5223f88c32ae9aed4b332ae45f2de53f53cec4ef12cd6f7c7d6da023a4edceb2
          initial model.safetensors   2c80daa5ba035977e9d209431365aed255620bc9d05bb438aad76be7bdfa2f31
          supervised v1               d75f6443311e0032f401376bfab66d4ceee5bbf6b0b98758f39a92f043380f04
          supervised v2               99cd1fb5db88c230b9a43e715881b96fc7d4bb1844ccff660e8f623a85f68683
          reward-model helpfulness v1 9dc75e6a6895ad3bcd22d15da1841e25e2f5d4fbc853d6b64608318d3311ebba
          reward-model helpfulness v2 c4f958230593d640562e9a0ec081bb4c6c51eaf21590be2b5e396094be17f924
          reward-model helpfulness v3 cf4f3c842171e6b6862dfb22415add7e0fbe674efb3b99da5c721cd18f0f115f
          reward-model helpfulness v4 ea502f51ca56ab5410b347c23a6c51ac284d7f8205fa959448f025cbd11b930d
          reward-model safety v1      75c9cf5a3bcc4122bd9b3b3cdd59293d10830270647e66673820bd5ed9cd1d08
          reward-model safety v2      1616d9fe694e3aca8e1d6a924380ccde743209ffa4fd0595556b92fa31c18a7b
          ppo v3                      4fdddf4b7a0d15227926669aa492833adf1b8ff447c19ee3eb3705b5d8777f85
          ppo v4                      be4f6926174717f5fda40b8ea2fdc45d668818b0f1769900590056b6c0227634
          ppo v5                      cfc9741bceb7f6d55f23b052ebf3c2dc8e4ac5cb07ac9b71a6cbaee7dbffde95
          ppo v6                      246d070893b16efe40bb9af3be836bb3dec18acd25f0bc321ec161de52b86ab6
          ppo v7                      9fae52d28d541b6d6983290722d84502f9f10519021fd88458e9ba2a5ba2de93
          rejection-sampling v3       79bd0ffffc61663af4cbc7afcff91c3115dcd00b0b2543e0fffbfafddfd17c09
          rejection-sampling v4       362d93c3a23b8b2eb8116eb6e0766d2a0f8bdcbc186159ae12d81162a6464d97
          rejection-sampling v5       a0faf82deac0da179e0ca516faa4ebcba5a6a18a9391f66de9907811cc5e9966
          rejection-sampling v6       565a240b26fc8dff0dc1198627181addee695439d13cadaaf0c33e45d52de5f4
          """,
          16,
          """
          initial tokenizer.json      5223f88c32ae9aed4b332ae45f2de53f53cec4ef12cd6f7c7d6da023a4edceb2
          initial model.safetensors   2c80daa5ba035977e9d209431365aed255620bc9d05bb438aad76be7bdfa2f31
          supervised v1               3761baaa2f5bf7322eb5520c424a4b5c0546ccf8afe84b0f2355c5f3b8858e79
          supervised v2               929d4eb9a3b3c9899f23140e48bc554e971bd6cf09b8d76c4e3b8b38d92c60ea
          reward-model helpfulness v1 becc59ccf1369b5201e879608e7f97d86cf0305cead384bd17197440c6e47b5f
          reward-model helpfulness v2 2c766b02310f903e36621301e894f6ae34e0e8799019bfaec10aafd45bc60b50
          reward-model helpfulness v3 85b2053ae720fc82c618f5e88fabf63c5d6dfc954f9f3fbcfed72a4a9fb717fc
          reward-model helpfulness v4 c81ac2364d8aa808a96ac1dd44900ce5b98d972a836952e88ef13ed04cc1a477
          reward-model safety v1      9257288e35f4f048ae0263bc2ebf80b7297d1ac4668aae83b628c2c98ce5a1ee
          reward-model safety v2      e1105cdd40b9a55ed6b7f014b24eac97656a054bbdd0d17a085406e5289fa07d
          ppo v3                      ebbb6c68736c16bee0ecdd7171070f778ad01d69547adb1be5dcd5e92462cc10
          ppo v4                      262546ac012703460b93f79b824f84402f03126c03f04f7fd89e73e651adb3c7
          ppo v5                      4589599e19f3c3152a85d8e91da2b2db979804bcdaabe130d0e6d518428f82a6
          ppo v6                      b2cf7c4c389698e1b6c86a6688dd9d54d0d9ed16fef8d811ca1d14979fc77b4c
          ppo v7                      efdd5e64d23a7e916f7887238752c24dc3e4f8ed18ad355a38d63fdf637cce50
          rejection-sampling v3       07a1dfb244b308f677c282fe3d5d6cd02387725a2a4ac16ba05cbdc2a49b5426
          rejection-sampling v4       4a1eac3caf0efe063b1be4ad71014a9ad5c949e1ffba798ed2d974943a9d4abd
          rejection-sampling v5       4d3c25c4b223edc5c844c6852f173964cac23fef8c3e93f310451ead7feb6d00
          rejection-sampling v6       2be8f553258ae98003f6cda887f4c041ff4b87434a912bfecc9a3165e10f3b88
          """);

  /** Batches are small and limits are narrow: clips, weights and mixes take effect. */
  private static final List<String> SETTINGS =
      List.of(
          "model.seed=" + SEED,
          "model.hidden-size=32",
          "model.heads=4",
          "model.kv-heads=2",
          "model.ffn-size=80",
          "model.vocab-size=512",
          "model.max-positions=128",
          // Some batches are learned from in parts.
          "compute.micro-batch-tokens=192",
          // The weights were recorded from all records that fit as they are.
          "reward-model.require-different=false",
          "supervised.truncate=false",
          "reward-model.truncate=false",
          // Recorded rollouts are of versions that this run publishes only later.
          "ppo.require-consistent=false",
          "supervised.sequence-length=128",
          "supervised.batch-size=2",
          "supervised.learning-rate=1e-2",
          "supervised.warmup-steps=3",
          "supervised.schedule-steps=80",
          "supervised.epochs=4",
          "supervised.publish-every=40",
          "reward-model.batch-size=8",
          "reward-model.learning-rate=5e-3",
          "reward-model.max-tokens=128",
          "reward-model.publish-every=24",
          "reward-model.shuffle-buffer=12",
          "reward-model.helpfulness.schedule-judgments=80",
          "reward-model.helpfulness.mixing.own=0.5",
          "reward-model.helpfulness.mixing.open=0.25",
          "reward-model.helpfulness.mixing.safety/*=0.25",
          "rollout.samples-per-prompt=2",
          "rollout.batch-size=8",
          "rollout.max-tokens=40",
          "rollout.max-prompt-tokens=80",
          "ppo.batch-size=8",
          "ppo.mini-batch-size=4",
          "ppo.score-batch-size=8",
          "ppo.epochs=2",
          "ppo.learning-rate=5e-4",
          "ppo.critic-learning-rate=1e-3",
          "ppo.kl=0.05",
          "ppo.kl-target=0.38",
          "ppo.kl-horizon=40",
          "ppo.safety-threshold=0.7",
          "ppo.max-staleness=2",
          "ppo.max-importance-weight=1.1",
          "ppo.value-clip=0.02",
          "ppo.held-out-share=0.235",
          "ppo.publish-every=1",
          "rejection-sampling.samples-per-prompt=4",
          "rejection-sampling.temperatures=0.7, 1.1",
          "rejection-sampling.prompts-per-version=12",
          "rejection-sampling.sequence-length=128",
          "rejection-sampling.batch-size=1",
          "rejection-sampling.learning-rate=1e-3");

  @RegisterExtension
  private static final JobHarness HARNESS =
      new JobHarness(
          6, Stream.concat(Stream.of("flink.parallelism=1"), SETTINGS.stream()).toList());

  private final StringBuilder table = new StringBuilder();

  @Test
  void fourJobsPublishTheRecordedWeights() throws Exception {
    assumeTrue(
        EXPECTED.containsKey(LANES),
        () ->
            "no weights are recorded for vectors of %d floats, only for %s"
                .formatted(LANES, EXPECTED.keySet()));
    Deployment loop = HARNESS.deploy("loop");
    MillraceConfig blank = loop.config();
    Path initial = Path.of(blank.model().initial());
    row("initial tokenizer.json", initial.resolve("tokenizer.json"));
    row("initial model.safetensors", initial.resolve("model.safetensors"));

    loop.send(Topic.DEMONSTRATIONS, recorded(Topic.DEMONSTRATIONS));
    List<PolicyCheckpoint> supervised = runForPolicies(loop, Job.SUPERVISED, blank);
    String start = "model.initial=" + supervised.getLast().getUri();

    loop.send(Topic.JUDGMENTS, recorded(Topic.JUDGMENTS));
    List<RewardCheckpoint> rewardModels = runForRewardModels(loop, loop.config(start));

    loop.send(Topic.ROLLOUTS, recorded(Topic.ROLLOUTS));
    runForPolicies(loop, Job.PPO, loop.config(start));

    // Topics of its own: a change of PPO alone leaves the digests of rejection sampling.
    // Its reward models are those of the first deployment.
    Deployment best = HARNESS.deploy("best", "checkpoints.other-roots=" + loop.checkpoints());
    best.send(Topic.PROMPTS, recorded(Topic.PROMPTS));
    best.send(
        Topic.REWARD_CHECKPOINTS, rewardModels.stream().filter(m -> m.getVersion() == 1).toList());
    List<PolicyCheckpoint> first = runForPolicies(best, Job.REJECTION_SAMPLING, best.config(start));

    // The second run scores the first run's bag with later reward models.
    best.send(
        Topic.REWARD_CHECKPOINTS, rewardModels.stream().filter(m -> m.getVersion() > 1).toList());
    String bag = BagFile.location(best.config(start), first.getLast().getVersion());
    runForPolicies(
        best,
        Job.REJECTION_SAMPLING,
        best.config(start, "rejection-sampling.prompts=all", "rejection-sampling.bag=" + bag));

    assertEquals(
        EXPECTED.get(LANES),
        table.toString(),
        () -> "SHA-256 of the published files, with vectors of %d floats".formatted(LANES));
  }

  /** Runs a job to the end of its topics and adds the announced versions to the table. */
  private List<PolicyCheckpoint> runForPolicies(
      Deployment deployment, Job job, MillraceConfig config) throws Exception {
    int before = deployment.read(Topic.POLICY_CHECKPOINTS).size();
    var _ = deployment.run(job.graph(config, true));
    List<PolicyCheckpoint> announced = deployment.read(Topic.POLICY_CHECKPOINTS);
    List<PolicyCheckpoint> published = announced.subList(before, announced.size());
    for (PolicyCheckpoint policy : published) {
      row(job.id() + " v" + policy.getVersion(), weights(policy.getUri()));
    }
    return published;
  }

  private List<RewardCheckpoint> runForRewardModels(Deployment deployment, MillraceConfig config)
      throws Exception {
    var _ = deployment.run(Job.REWARD_MODEL.graph(config, true));
    // Two trainers announce side by side, in any order.
    List<RewardCheckpoint> published =
        deployment.read(Topic.REWARD_CHECKPOINTS).stream()
            .sorted(
                Comparator.comparing(RewardCheckpoint::getObjective)
                    .thenComparingLong(RewardCheckpoint::getVersion))
            .toList();
    for (RewardCheckpoint model : published) {
      String objective = model.getObjective().name().toLowerCase(Locale.ROOT);
      row("reward-model " + objective + " v" + model.getVersion(), weights(model.getUri()));
    }
    return published;
  }

  private static Path weights(String uri) {
    return CheckpointStore.localPath(uri).resolve("model.safetensors");
  }

  private void row(String name, Path file) throws IOException, NoSuchAlgorithmException {
    byte[] digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file));
    table.append("%-27s %s\n".formatted(name, HexFormat.of().formatHex(digest)));
  }

  private static <T extends SpecificRecordBase> List<T> recorded(Topic<T> topic)
      throws IOException {
    String file = "/recorded/" + topic.name() + ".jsonl";
    try (InputStream lines = PublishedWeightsTest.class.getResourceAsStream(file)) {
      return new String(lines.readAllBytes(), StandardCharsets.UTF_8)
          .lines()
          .map(line -> JsonLines.read(topic.type(), line))
          .toList();
    }
  }
}

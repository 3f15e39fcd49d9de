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
          supervised v1               7acd57ed227669560d960a1f80717ae3e7330961bfe3cbedf1fac06cd5406db8
          supervised v2               36cf980c7e3e4b5a6367d704f5c5b96556dcfbfca46f40aa9aac8035b31397c6
          reward-model helpfulness v1 32d073d0b05fd7c9c8616fff6c6b7b4ccfbf39b43335e9f9ac3a3cc275f6bfb4
          reward-model helpfulness v2 21f435db4f1e53b56a0a002155ef264d5108e72dbad1ace6f473cab4643d4525
          reward-model helpfulness v3 227dfac962193d7b53e12d25ebcc9b57152cf7fbbc111f3cbf70cd032ac48e70
          reward-model helpfulness v4 b55d2f7118096710e61904fa7d64fe6fe742c153edb834bdfd264036cf8c5dd1
          reward-model safety v1      c12f65c2fc5ab68bf85cdf4c2cdfbca9377900ab6978119c52a8531c8f9494af
          reward-model safety v2      9d205c65bed7d7b7a42ed8548e3d6045a56e3ccb9f85a29261d8682c401c350b
          ppo v3                      db5f342855c5b4cc33ce5221f97b64357681c59e73fe7527cfaccab3b9a8c27e
          ppo v4                      543fc25e9d8bb31fee1556641e415d1403820bb6a80e75fcc4e101ce8fb16acd
          ppo v5                      950498e2b960de5af4d27b2916202ab50ac51af6e1f78a8aeef486666cc07601
          ppo v6                      54729dd269a89974639d5a1258e21a5d03df45c740426a0961ae711d4ea21cbf
          ppo v7                      67a0525437bc77f0cc1e7b1bab4ff48e4a3ca25579deeeaa9eba467994b4b520
          rejection-sampling v3       d8e0dfe60c40f763ed740a98cddcb0d64847f7cc8b9fb1142e7cef6c25b5612f
          rejection-sampling v4       0abc29a0c3a3946e8f52601a95f415da44c6a1933fef574e7daef772373e3893
          rejection-sampling v5       cad9e165316bbfb1d0a0ded4f75e2d8c3ee1ee5a4ee0335844e9404f55755b0b
          rejection-sampling v6       7523e4a1440a79cc8aebe5368c494f0b1e1d8fd0f588903fa395a99d197b8aec
          """,
          16,
          """
          initial tokenizer.json      5223f88c32ae9aed4b332ae45f2de53f53cec4ef12cd6f7c7d6da023a4edceb2
          initial model.safetensors   2c80daa5ba035977e9d209431365aed255620bc9d05bb438aad76be7bdfa2f31
          supervised v1               3b9356cc945a3a569408761e24d6de271a2c8df51e03ec6fdbe7740f7ff2ac5d
          supervised v2               30d49b7b5a05a4ee86e4a40ce8ebf524003f288bf7c26dadc8c04780131b82fc
          reward-model helpfulness v1 697a1e6cb7c7fe4c7d05f2977325557e987e57b2e17b08412d2ac8b25cf561ba
          reward-model helpfulness v2 dbe60887b323c5ced283eb4b3e733560c20136ad0f474ca542b7d15c7443c509
          reward-model helpfulness v3 cfc19dfe19b9f613832230bb56202eb3c105e496ad60b9ec384833262b025b5d
          reward-model helpfulness v4 666f630e2ff9851c4777b8497ac38cdc04b2029d6c9dbd3770056f4ed07f582c
          reward-model safety v1      a0f3302fd269babb4543918d7cfef68290f50807bfc187d595eed927d4958d54
          reward-model safety v2      437958fbbeb4e6c912ac75dea4bb9091a61b6330b2bb2712963dc35e9d370b27
          ppo v3                      505929f3950f8b45c9bc03b9558b9faabc284fe67af0e67741991d86f7dc0d60
          ppo v4                      da7e82c39428623aeec386533d8895f21f9eecd5f935ae8d7f7c4b422657f635
          ppo v5                      325b2d9b98ba342cd9e49fba475cad56255e2c8bd077c2ca53ca8848549644c1
          ppo v6                      cc57cbb00581797bfeae31eda8fccea3895a7efba6dd7303fa829521e000fcd1
          ppo v7                      c9a65d0cd6612f1eca4e40b6e7e8224a9c7cedc51c32ba60d0aca5b725f87f6e
          rejection-sampling v3       2270a5888e7121f3524d8e77c36949c2a942c965df11526f19922f0175055c79
          rejection-sampling v4       69fdb67dbd7d1c7f949a61974815215ef8d8a40724ff726dc8ce0e135d48c1fa
          rejection-sampling v5       ab4e4ea39395b0279a2c607f47f21bfb11f2447d5397243853144b95309b7675
          rejection-sampling v6       a793fb1a2fcfa860f1d5e9247fadaa5e04a4c66274dc423cc4da796fab4c8c42
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

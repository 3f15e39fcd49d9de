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
          supervised v1               950020cf680974dc822f5c72e2014be329a964cbca36bd4d3104ad97939a6d1b
          supervised v2               324e1df1ab7fd776d2217223d44b68af5c9e964c659ac0bff8b135ce70cc017a
          reward-model helpfulness v1 b18d485a1a516dacb08580d6fd2d0f11ce3b0b1563760e9751077fbad955e212
          reward-model helpfulness v2 863da716d80f23a69b4ec441bcfb859588ac8393b02ee67b3dca1ca9c1f962d5
          reward-model helpfulness v3 99e5c0bd9d9be31ce296415c334d10b45ee073281f210500367c2d81bcc9bbb7
          reward-model safety v1      30e4403f44212e68fe837884f4a2b55223b4d6d78c79eb5d1b8b3ad893bc38aa
          reward-model safety v2      d599f3e9be6b1953532552a58a8e2a12160f00655e22ee1659ab6c239b1b218a
          ppo v3                      74ab677d317995ef7b1b82aface895869e0e312e75c75bf8444f18c28edf2673
          ppo v4                      2c7dbe858197e40a1f58a27338e3e939641c9134e2310566c96a6e05e9505696
          ppo v5                      dc62d91d9c960d43d5b9b184b8d2f7d30d3f77d51a0e00eb4a0ad3b61ec46b9c
          ppo v6                      93c8ea73809da2c1fe65c6c1113695902c1439ac71d298fc3b08a638af5a2ed9
          ppo v7                      112bc4623b0e03971830b9fa133b25eafcfe6eea926fa04f066be0383599708a
          rejection-sampling v3       d96e2f7411702e50d4d2ad8f9466e6ba288fa5489c3db9e485e0db87ef6d07cb
          rejection-sampling v4       a6a981c9c9bb8c4a9b887441209e3b4db97632eaceb4f1c225c059099ce19fbf
          rejection-sampling v5       40e8387bb1639fea9dc8572c3c4be71c18d5c3f414a35e854e03c6bd3547e603
          rejection-sampling v6       252639a6af048068ed152e594e6fa989d03d053a023031106177f02352309084
          """,
          16,
          """
          initial tokenizer.json      5223f88c32ae9aed4b332ae45f2de53f53cec4ef12cd6f7c7d6da023a4edceb2
          initial model.safetensors   2c80daa5ba035977e9d209431365aed255620bc9d05bb438aad76be7bdfa2f31
          supervised v1               554a1b1d2f14b4517d432f802eafc90a4596fb28b805d883c618b8662549a010
          supervised v2               1cff0ae0bce421af5c1ea4b6a7b14358db4373642008da68632cf464852a5943
          reward-model helpfulness v1 2e79127fff7bfe530a1521c9c10c72ef96611f8e4c22b40dcadb61a05f2fbef3
          reward-model helpfulness v2 4f16cbf2bea32f0f9c978566540193f0a0b858fabac1b1a81b900b9ea29ea741
          reward-model helpfulness v3 1f500723215de2a24b132c667dc089bb75392457b1033ae3bb7e16e6d6315434
          reward-model safety v1      984de9d964f3325270d501fbe240c81ceb54b0bfbf279fd0660d5b3d665d9985
          reward-model safety v2      8daae53d8036ac06895cddc0bd483b3681374311afe50611053c35f8e3fd6126
          ppo v3                      75cfe33c8b9a575573c7f75fac70104947686816671a597a821048e25d74cc4b
          ppo v4                      ffe16f7957031cb8c6191cc66ab695984a30b095a7cd4005d7cea06ecb5a6ab5
          ppo v5                      a0641b380c3021d41350f6cc67a6e2a0c6c1b999715cc687aca3381886ebaa42
          ppo v6                      48954858652b47da2f93018315edf8b89de1f1c7e1e1e77facf0fc962f0766ca
          ppo v7                      1bad8028bd72c460cd37ebf3bd5af07ba568123339eb9399be3eced43cb3f6ce
          rejection-sampling v3       615815b04eacae3396ef9fea5462559949c7c8d3b3591afbbede711efee6127d
          rejection-sampling v4       670fff483c6d745a3257463b74ad1f78e143a36f12a612e1c5d75be71176d7a6
          rejection-sampling v5       8397da52b98980ad5ac0a784dcf06ed82ff536c4a88c540f0bc7d3a62414d7c9
          rejection-sampling v6       5d1534e86b3e29ec4e3d8de047a43933d41007a8a08aa6553fdeb065b4ed8d44
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

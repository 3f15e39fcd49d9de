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
          reward-model helpfulness v1 1e2a8d4b5e92a9a4dfc78073ab9f1c9374585435abccbe55b5dac0d97d10d94a
          reward-model helpfulness v2 0aed4d8de5906763cf0623ab15f894dc1ecb16ae4a4805871cca0ec448033557
          reward-model helpfulness v3 401546e18ff9a1597ffc89e6d1dbc484712580b78ab31fc85444df43115e0765
          reward-model helpfulness v4 042c272a8e83a2735eb926be5e3deef215079ce224d9ac61a7bd86b7efcf08cb
          reward-model safety v1      ea75eeeb4555ebe0e7a71c0142b0ebd7518e46b961fbce8c34aa2a4a446df3e6
          reward-model safety v2      7bf8dbb1e06d532248b83e4917af5a14a72a09805448953babec99f7ed46326a
          ppo v3                      621fd73d90ad02ea8200a8dd83c1247162a1487f73903dfb76c8b32039342935
          ppo v4                      16b18cf7d3421c42ffe2aff41ca16e83fe776edac1982389812a1e84d2536f12
          ppo v5                      090d8c9358118c6835a061fdfd3737905a9b1cbcd39123cd7fcd1ca5c8307a20
          ppo v6                      7a11f4ee04c9b190d58f145b31b880c92253bff5169056277b85b4c6713efd9b
          ppo v7                      6e48deb62c51310e4a3195bb511459c18b00d8744c917bce6b129c0d3e5157e9
          rejection-sampling v3       97cccc44f64cd90a19cf93f400becbd5767a3d7268e65796385b60d2c9df317c
          rejection-sampling v4       9fd6e5ee81c1ece8d33c1b2ca73e13c5bbed12c1b1e32c795d6fe6b53d2a1f2c
          rejection-sampling v5       8061ae5151e30edc45b5895bcc72f8c4fbed1e1478b56fd05a0a165f476c3643
          rejection-sampling v6       ea11ad26b97284337f84247187393a2fa6e3d7672f930660c75da9bb25e9bbc8
          """,
          16,
          """
          initial tokenizer.json      5223f88c32ae9aed4b332ae45f2de53f53cec4ef12cd6f7c7d6da023a4edceb2
          initial model.safetensors   2c80daa5ba035977e9d209431365aed255620bc9d05bb438aad76be7bdfa2f31
          supervised v1               3761baaa2f5bf7322eb5520c424a4b5c0546ccf8afe84b0f2355c5f3b8858e79
          supervised v2               929d4eb9a3b3c9899f23140e48bc554e971bd6cf09b8d76c4e3b8b38d92c60ea
          reward-model helpfulness v1 40ba5b830b73c015f472f050dbf57c361e4982a61ebb04702568d1363a0ee985
          reward-model helpfulness v2 2056bbab8e6f3efc6bb8cc04dd033f18175d7495c05981328cfd241a2075d627
          reward-model helpfulness v3 99f4c3b7c434579b678a2f26f69bf7c4542660ddae1eccf8c64c132dbd19ee1a
          reward-model helpfulness v4 1ad4df245445512cb100f7aee935bc9c90adb775e791b47b64962715721a0570
          reward-model safety v1      7c4c6c0bd7197c725538950e5edba15eddf3a5cc3e40e3422ed32b11169884f1
          reward-model safety v2      06a21668b1fd575c1ad11339be00b72e0680ada4e173a6038e2a6e67b66ee799
          ppo v3                      c8bd8f80c605cbd9ae54e2a915a61333d98a1ee6e6c766ad9268c305fb59f0e9
          ppo v4                      9515972a30c21da2cad412223c4f3c280a015e3db40a456307889e1bfe412660
          ppo v5                      79c4727d7c577b6fb42eee93a583270e0f6b6e9f5c94fa6db3ab285525593a89
          ppo v6                      c12d657845a2eb5189893c0a6d4ea115741a03b87e46a11712b44bbcba9fd73d
          ppo v7                      d306c8228dea2ad2383c45cda4af398710319aaeeb17cf7b930f19843e50fc7d
          rejection-sampling v3       965000a4e39c6dcca461cdc02580f2c3376a1b2784aba64f5945d1800f7753ad
          rejection-sampling v4       62e1789c56d903664882815cb839fc04f8f56b08ac91419de59ccf3f97c9c645
          rejection-sampling v5       88fef48246e0ab8733096490c4f2eaddca283b3052c4820d939d244f010fb3f4
          rejection-sampling v6       a5cf13a9e1c53d57416a016d67f507e8e92634851a6d86219ac16d07f40519f4
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

package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.Job;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.jobs.testkit.OperatorHarness;
import io.millrace.jobs.testkit.TestModels;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.chat.Role;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongPredicate;
import java.util.stream.IntStream;
import org.apache.flink.api.common.JobID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Rollouts that arrive before any reward model wait in Kafka; the deadline is for a hang. */
@Timeout(180)
class RolloutsWaitTest {

  private static final int ROLLOUTS = 12_000;

  @RegisterExtension
  static final JobHarness HARNESS = new JobHarness(8, OperatorHarness.TINY_MODEL);

  private Deployment deployment;
  private MillraceConfig config;

  private void deploy(String name, int batch, String... settings) throws Exception {
    List<String> all = new ArrayList<>(List.of(settings));
    for (String key : List.of("batch-size", "mini-batch-size", "score-batch-size")) {
      all.add("ppo." + key + "=" + batch);
    }
    deployment = HARNESS.deploy(name, all.toArray(String[]::new));
    config = deployment.config();
  }

  private List<Rollout> rollouts() {
    int[] prompt;
    int[] response;
    try (Tokenizer tokenizer = Tokenizer.load(Path.of(config.model().initial()))) {
      ChatTemplate template = ChatTemplate.of(tokenizer);
      prompt = template.promptTokens(List.of(new Message(Role.USER, "Hi")));
      response = template.responseTokens("Yes");
    }
    Rollout first =
        Rollout.newBuilder()
            .setRolloutId("p/0")
            .setPromptId("p")
            .setDialogue(List.of(new Turn(io.millrace.schemas.Role.USER, "Hi")))
            .setPromptTokens(Arrays.stream(prompt).boxed().toList())
            .setResponseTokens(Arrays.stream(response).boxed().toList())
            .setLogProbs(Arrays.stream(response).mapToObj(_ -> -5f).toList())
            .setResponseText("Yes")
            .setFinishReason(FinishReason.STOP)
            .setModel("policy")
            .setPolicyVersion(0)
            .setTemperature(1)
            .build();
    return IntStream.range(0, ROLLOUTS)
        .mapToObj(i -> Rollout.newBuilder(first).setRolloutId("p" + i + "/0").build())
        .toList();
  }

  /** Polls the number of rollouts that the job has read. */
  private static long awaitRead(JobID job, LongPredicate enough) throws Exception {
    long read = 0;
    do {
      HARNESS.cluster().requireAlive(job);
      Object count = HARNESS.cluster().accumulators(job).get("topics/rollouts/accepted");
      read = count == null ? 0 : (Long) count;
    } while (!enough.test(read));
    return read;
  }

  /** Whether a number stays the same over a second. */
  private static final class Settled implements LongPredicate {
    private long last;
    private long since = System.nanoTime();

    @Override
    public boolean test(long value) {
      if (value != last || value == 0) {
        last = value;
        since = System.nanoTime();
      }
      return System.nanoTime() - since > 1_000_000_000L;
    }
  }

  @Test
  void theSourceWaitsForTheModelsAndGoesOn() throws Exception {
    deploy("wait", 64, "ppo.max-staleness=0", "flink.parallelism=2");
    deployment.send(Topic.ROLLOUTS, rollouts());
    JobID job = HARNESS.cluster().submit(Job.PPO.graph(config, false));
    long read = awaitRead(job, new Settled());
    assertTrue(read < ROLLOUTS, read + " rollouts were read without a reward model");

    deployment.send(
        Topic.REWARD_CHECKPOINTS,
        TestModels.rewardModels(Path.of(config.model().initial()), deployment.checkpoints()));
    long _ = awaitRead(job, count -> count == ROLLOUTS);
    HARNESS.cluster().cancel(job);
  }

  /** More prompts at once than PPO can use of one version: the rest is sampled later. */
  @Test
  void ofABurstOfPromptsNoRolloutBecomesStale() throws Exception {
    int batch = 16;
    deploy(
        "burst",
        batch,
        "ppo.max-staleness=2",
        "rollout.batch-size=64",
        "rollout.max-tokens=8",
        "rollout.max-prompt-tokens=40");
    deployment.send(
        Topic.REWARD_CHECKPOINTS,
        TestModels.rewardModels(Path.of(config.model().initial()), deployment.checkpoints()));
    JobID ppo = HARNESS.cluster().submit(Job.PPO.graph(config, false));
    RuntimeSettings settings = new RuntimeSettings(config);
    while (settings.consumerGroups().lag("ppo", Topic.ROLLOUTS).isEmpty()) {
      HARNESS.cluster().requireAlive(ppo);
    }
    deployment.send(
        Topic.PROMPTS,
        IntStream.range(0, 10 * batch)
            .mapToObj(
                i ->
                    Prompt.newBuilder()
                        .setPromptId("p" + i)
                        .setDialogue(List.of(new Turn(io.millrace.schemas.Role.USER, "Hi " + i)))
                        .build())
            .toList());
    JobID rollout = HARNESS.cluster().submit(Job.ROLLOUT.graph(config, false));
    int learned;
    do {
      HARNESS.cluster().requireAlive(ppo, rollout);
      learned = deployment.read(Topic.REWARDS).size();
    } while (learned < 10 * batch);
    HARNESS.cluster().cancel(rollout);
    HARNESS.cluster().cancel(ppo);
  }
}

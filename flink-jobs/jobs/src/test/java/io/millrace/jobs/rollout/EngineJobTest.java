package io.millrace.jobs.rollout;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.jobs.Job;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import io.millrace.schemas.wire.SingleObject;
import io.millrace.serve.ServeSettings;
import io.millrace.serve.Server;
import io.millrace.serve.follow.ModelSource;
import io.millrace.serve.http.HttpSettings;
import io.millrace.serve.sampling.LaneSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.flink.api.common.JobExecutionResult;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The job with our own server as the engine. */
@Timeout(120)
class EngineJobTest {

  private static final int SAMPLES = 2;

  @RegisterExtension
  private static final JobHarness HARNESS =
      new JobHarness(
          2,
          "model.hidden-size=16",
          "model.layers=1",
          "model.ffn-size=24",
          "rollout.samples-per-prompt=" + SAMPLES,
          "rollout.max-tokens=8");

  private static Server server(Path checkpoint, Deployment deployment) throws IOException {
    return Server.start(
        new ServeSettings(
            new HttpSettings(
                "127.0.0.1",
                0,
                List.of(),
                Optional.empty(),
                1 << 20,
                100,
                Duration.ofSeconds(30),
                Duration.ofSeconds(60),
                Duration.ofSeconds(5)),
            new LaneSettings(8, 64, 256, 200, 0),
            Map.of("policy", new ModelSource.Fixed(checkpoint.toString())),
            Map.of(),
            deployment.kafka(),
            new CheckpointCache(HARNESS.directory().resolve("cache").toString(), 1 << 30),
            HARNESS.directory().resolve("copies"),
            _ -> true,
            Optional.empty()),
        Backends::openDefault,
        (backend, found) -> ModelWeights.languageModel(backend, found));
  }

  /** The policy's tokenizer and weights of another seed, with room for short prompts only. */
  private static Path shortPolicy(String initial) throws IOException {
    Path directory = HARNESS.directory().resolve("short");
    try (Backend backend = Backends.openDefault();
        PolicyModel policy = PolicyModel.load(backend, initial)) {
      LlamaConfig shape = policy.model().config();
      LlamaConfig config =
          LlamaConfig.builder()
              .vocabSize(shape.vocabSize())
              .hiddenSize(16)
              .layers(1)
              .heads(2)
              .kvHeads(1)
              .headDim(8)
              .ffnSize(24)
              .maxPositions(64)
              .bosToken(policy.tokenizer().bos())
              .eosToken(policy.tokenizer().eos())
              .build();
      try (Parameters weights = Parameters.random(backend, config.parameters(), 3)) {
        CheckpointDirectory.write(
            directory,
            config,
            ModelWeights.sources(weights),
            policy.tokenizer()::save,
            CheckpointManifest.describing(CheckpointKind.POLICY, "policy", 4).build());
      }
    }
    return directory;
  }

  private static Prompt prompt(String id, String text) {
    return Prompt.newBuilder()
        .setPromptId(id)
        .setDialogue(List.of(new Turn(Role.USER, text)))
        .setIsSafety(false)
        .setTime(Instant.EPOCH)
        .build();
  }

  @Test
  void promptsBecomeRolloutsOfTheEngineAndWhatItRefusesBecomesADeadLetter() throws Exception {
    Deployment deployment = HARNESS.deploy("engine");
    String initial = InitialModel.ensure(deployment.config()).model().initial();
    Prompt tooLong = prompt("long", "A long question. ".repeat(12));
    deployment.send(Topic.PROMPTS, List.of(prompt("a", "Who?"), tooLong, prompt("b", "Why?")));
    JobExecutionResult result;
    try (Server server = server(shortPolicy(initial), deployment)) {
      result =
          deployment.run(
              Job.ROLLOUT.graph(
                  deployment.config(
                      "model.initial=" + initial,
                      "rollout.engine=openai",
                      "rollout.openai-url=" + server.address()),
                  true));
    }
    List<Rollout> rollouts = deployment.read(Topic.ROLLOUTS);
    assertEquals(
        Stream.of("a/0", "a/1", "b/0", "b/1").collect(Collectors.toSet()),
        rollouts.stream().map(Rollout::getRolloutId).collect(Collectors.toSet()));
    assertEquals(2 * SAMPLES, rollouts.size());
    for (Rollout rollout : rollouts) {
      assertEquals("millrace", rollout.getEngine());
      assertEquals(4, rollout.getPolicyVersion());
    }
    List<DeadLetter> letters = deployment.read(Topic.DEAD_LETTERS);
    assertEquals(1, letters.size());
    DeadLetter letter = letters.getFirst();
    assertEquals("engine-refused", letter.getReason());
    assertEquals("rollout", letter.getJob());
    assertTrue(letter.getMessage().contains("context_length_exceeded"), letter.getMessage());
    byte[] value = new byte[letter.getValue().remaining()];
    letter.getValue().duplicate().get(value);
    assertEquals(tooLong, SingleObject.of(Prompt.class).decode(value));
    assertEquals(
        1L, (Long) result.getAccumulatorResult("topics/prompts/dead-letters/engine-refused"));
  }

  /** The directory that a loop begins with has no version. */
  @Test
  void theInitialPolicyIsVersion0() throws Exception {
    Deployment deployment = HARNESS.deploy("initial");
    String initial = InitialModel.ensure(deployment.config()).model().initial();
    deployment.send(Topic.PROMPTS, List.of(prompt("a", "Who?")));
    try (Server server = server(Path.of(initial), deployment)) {
      var _ =
          deployment.run(
              Job.ROLLOUT.graph(
                  deployment.config(
                      "model.initial=" + initial,
                      "rollout.engine=openai",
                      "rollout.openai-url=" + server.address()),
                  true));
    }
    List<Rollout> rollouts = deployment.read(Topic.ROLLOUTS);
    assertEquals(SAMPLES, rollouts.size());
    rollouts.forEach(rollout -> assertEquals(0, rollout.getPolicyVersion()));
  }
}

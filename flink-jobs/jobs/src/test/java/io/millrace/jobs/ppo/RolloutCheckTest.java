package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.testkit.OperatorHarness;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Turn;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RolloutCheckTest {

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;
  private static MillraceConfig config;
  private static Tokenizer tokenizer;
  private static RolloutCheck check;
  private static int end;

  @BeforeAll
  static void open() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
    config = config();
    try (TopicAdmin admin = new TopicAdmin(JobSettings.kafka(config))) {
      admin.createAll(1, 1);
    }
    tokenizer = Tokenizer.load(Path.of(config.model().initial()));
    end = ChatTemplate.of(tokenizer).responseTokens("Yes")[tokens("Yes").size() - 1];
    check = new RolloutCheck(config);
    check.open();
  }

  @AfterAll
  static void close() throws Exception {
    check.close();
    tokenizer.close();
    broker.close();
  }

  private static MillraceConfig config(String... more) throws Exception {
    List<String> settings = new ArrayList<>(OperatorHarness.TINY_MODEL);
    settings.add("kafka.bootstrap-servers=" + broker.bootstrapServers());
    settings.add("checkpoints.directory=" + directory.resolve("checkpoints"));
    settings.addAll(List.of(more));
    return InitialModel.ensure(ConfigLoader.load(Optional.empty(), settings));
  }

  private static List<Integer> tokens(String response) {
    return Arrays.stream(ChatTemplate.of(tokenizer).responseTokens(response)).boxed().toList();
  }

  private static Rollout.Builder rollout() {
    return rollout(tokens("Yes"), "Yes");
  }

  private static Rollout.Builder rollout(List<Integer> response, String text) {
    int[] prompt = ChatTemplate.of(tokenizer).promptTokens(List.of(Message.user("Hi")));
    return Rollout.newBuilder()
        .setRolloutId("p/0")
        .setPromptId("p")
        .setDialogue(List.of(new Turn(Role.USER, "Hi")))
        .setPromptTokens(Arrays.stream(prompt).boxed().toList())
        .setResponseTokens(response)
        .setLogProbs(Collections.nCopies(response.size(), -1f))
        .setResponseText(text)
        .setFinishReason(FinishReason.STOP)
        .setModel("policy")
        .setPolicyVersion(0)
        .setTemperature(1);
  }

  private static List<Integer> with(List<Integer> tokens, int at, int token) {
    List<Integer> changed = new ArrayList<>(tokens);
    changed.add(at, token);
    return changed;
  }

  private static void assertRefused(String reason, String problem, Rollout.Builder rollout) {
    RefusedRecordException e =
        assertThrows(RefusedRecordException.class, () -> check.check(rollout.build()));
    assertEquals(reason, e.reason(), e.getMessage());
    assertTrue(e.getMessage().contains(problem), e.getMessage());
  }

  @Test
  void whatThePolicyCanSampleIsAccepted() {
    check.check(rollout().build());
    List<Integer> cut = tokens("Yes").subList(0, tokens("Yes").size() - 1);
    String text = ChatTemplate.of(tokenizer).responseText(cut.stream().mapToInt(i -> i).toArray());
    check.check(rollout(cut, text).setFinishReason(FinishReason.LENGTH).build());
    check.check(rollout(List.of(end), "").build());
  }

  @Test
  void theEndTokenAndTheFinishReasonAgree() {
    List<Integer> cut = tokens("Yes").subList(0, tokens("Yes").size() - 1);
    assertRefused("inconsistent", "finishReason is STOP", rollout(cut, "Yes"));
    assertRefused(
        "inconsistent", "finishReason is LENGTH", rollout().setFinishReason(FinishReason.LENGTH));
    assertRefused(
        "inconsistent", "responseTokens[0] is " + end, rollout(with(tokens("Yes"), 0, end), ""));
  }

  @Test
  void aResponseHasNoSpecialTokensOfAnotherSampler() {
    List<Integer> special = with(tokens("Yes"), 1, tokenizer.bos());
    assertRefused(
        "inconsistent", "responseTokens[1] is " + tokenizer.bos(), rollout(special, "Yes"));
    // Own sampling takes every token to which the policy gives probability.
    long seed = SamplingRequest.seed(config.model().seed(), "p/0");
    assertDoesNotThrow(() -> check.check(rollout(special, "Yes").setSeed(seed).build()));
  }

  @Test
  void textsAreThoseOfTheTokens() {
    assertRefused("inconsistent", "responseText", rollout(tokens("Yes"), "No"));
    assertRefused(
        "inconsistent",
        "promptTokens",
        rollout().setDialogue(List.of(new Turn(Role.USER, "Something else"))));
    assertRefused(
        "inconsistent",
        "promptTokens",
        rollout().setDialogue(List.of(new Turn(Role.USER, " ".repeat(11_000_000)))));
  }

  @Test
  void aVersionThatDoesNotExistSampledNothing() {
    assertRefused(
        "unknown-version",
        "version 1000000, and the latest is 0",
        rollout().setPolicyVersion(1_000_000));
  }

  @Test
  void theChecksCanBeTurnedOff() throws Exception {
    RolloutCheck lenient = new RolloutCheck(config("ppo.require-consistent=false"));
    lenient.open();
    try {
      lenient.check(rollout(tokens("Yes"), "No").setPolicyVersion(7).build());
    } finally {
      lenient.close();
    }
  }
}

package io.millrace.jobs.rollout;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.AnnouncementCheck;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.testkit.OperatorRun;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RefusedRecordException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** An announced policy with a hostile tokenizer or chat template becomes a dead letter. */
class HostilePolicyTest {
  @TempDir Path directory;

  private MillraceConfig config() throws IOException {
    List<String> all = new ArrayList<>(List.of("checkpoints.directory=" + directory));
    all.addAll(OperatorRun.TINY_MODEL);
    return InitialModel.ensure(ConfigLoader.load(Optional.empty(), all));
  }

  /** Publishes a policy like the initial one, with one of its files changed. */
  private PolicyCheckpoint announce(
      MillraceConfig config, long version, String file, UnaryOperator<String> change)
      throws IOException {
    Path initial = Path.of(config.model().initial());
    Path published = directory.resolve("policy/v%06d".formatted(version));
    String digest;
    try (Backend backend = Backends.openDefault();
        Tokenizer tokenizer = Tokenizer.load(initial);
        CheckpointDirectory opened = CheckpointDirectory.open(initial)) {
      LlamaConfig shape = opened.config();
      try (Parameters weights = Parameters.random(backend, shape.parameters(), version)) {
        digest =
            CheckpointDirectory.write(
                published,
                shape,
                ModelWeights.sources(weights),
                to -> {
                  tokenizer.save(to);
                  Path changed = to.resolve(file);
                  Files.writeString(changed, change.apply(Files.readString(changed)));
                },
                CheckpointManifest.describing(CheckpointKind.POLICY, "policy", version).build());
      }
    }
    return PolicyCheckpoint.newBuilder()
        .setModel("policy")
        .setVersion(version)
        .setUri(published.toString())
        .setManifestSha256(digest)
        .setIteration(1)
        .setStep(1)
        .setMetrics(Map.of())
        .setTime(Instant.EPOCH)
        .build();
  }

  private static void refuses(
      String problem, AnnouncementCheck<PolicyCheckpoint> check, PolicyCheckpoint announced) {
    var e = assertThrows(RefusedRecordException.class, () -> check.check(announced));
    assertEquals("unusable-checkpoint", e.reason());
    assertTrue(e.getMessage().contains(problem), e.getMessage());
  }

  @Test
  void itsTemplateAndItsTokenizerAreTriedFirst() throws Exception {
    MillraceConfig config = config();
    AnnouncementCheck<PolicyCheckpoint> check = AnnouncementCheck.policies(config);
    check.open();
    String template = "\"chat_template\" : \"";
    String loops = "{% for a in range(1000) %}{% for b in range(1000) %}{{ '' }}";
    String ends = "{% endfor %}{% endfor %}";
    refuses(
        "steps for one dialogue",
        check,
        announce(
            config,
            1,
            "tokenizer_config.json",
            json -> json.replace(template, template + loops + ends)));
    String text = "{% set n = namespace(x='aaaaaaaa') %}{% for i in range(40) %}";
    refuses(
        "over limit",
        check,
        announce(
            config,
            2,
            "tokenizer_config.json",
            json ->
                json.replace(template, template + text + "{% set n.x = n.x ~ n.x %}{% endfor %}")));
    refuses(
        "exponential time",
        check,
        announce(
            config,
            3,
            "tokenizer.json",
            json ->
                json.replace(
                    "\"normalizer\" : null",
                    "\"normalizer\" : {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"(a+)+$\"},"
                        + " \"content\": \"x\"}")));
    check.check(announce(config, 4, "tokenizer.json", json -> json));
    check.close();
  }
}

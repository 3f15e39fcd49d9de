package io.millrace.world;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.wire.JsonLines;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.Test;

/**
 * The records of the plain world stay as they are: documented results and other tests need them.
 */
class PlainWorldTest {

  private static final InstantSource CLOCK = InstantSource.fixed(Instant.EPOCH);

  @Test
  void itsRecordsNeverChange() throws Exception {
    assertEquals(
        List.of(
            "4be7578c3abbae88cd4f3b045ecd5d34977a350192824c6730787e55957ea05c",
            "758d89788d5c8ad63fe415c6018b5762a6ef8c7a402a234f46673f5429a79e22"),
        List.of(digest(1), digest(2)));
  }

  private static String digest(long seed) throws Exception {
    DemoWorld world = new DemoWorld(seed, CLOCK);
    Annotators annotators = new Annotators(world, seed, CLOCK);
    List<SpecificRecordBase> records = new ArrayList<>();
    records.addAll(world.prompts(0, 600));
    records.addAll(world.demonstrations(600));
    records.addAll(world.heldOutPrompts());
    records.addAll(world.demonstrations(world.heldOutPrompts()));
    for (Objective objective : Objective.values()) {
      records.addAll(annotators.archive(objective, 600));
      records.addAll(annotators.about(world.heldOutPrompts(), objective));
      for (Prompt prompt : world.prompts(0, 300)) {
        List<String> texts = world.answers(prompt, 2);
        records.add(
            annotators.judge(
                objective, sample(prompt, 0, texts.get(0)), sample(prompt, 1, texts.get(1))));
      }
    }
    MessageDigest sha = MessageDigest.getInstance("SHA-256");
    for (SpecificRecordBase each : records) {
      // A field that came later and has no value changes nothing.
      String line = JsonLines.write(each).replace(",\"revision\":null", "");
      sha.update((line + "\n").getBytes(StandardCharsets.UTF_8));
    }
    return HexFormat.of().formatHex(sha.digest());
  }

  private static Rollout sample(Prompt prompt, int index, String text) {
    return Rollout.newBuilder()
        .setRolloutId(prompt.getPromptId() + "/" + index)
        .setPromptId(prompt.getPromptId())
        .setDialogue(prompt.getDialogue())
        .setIsSafety(prompt.getIsSafety())
        .setPromptTokens(List.of(1))
        .setResponseTokens(List.of(2))
        .setLogProbs(List.of(-1f))
        .setResponseText(text)
        .setFinishReason(FinishReason.STOP)
        .setModel("policy")
        .setPolicyVersion(1)
        .setTemperature(1)
        .setTopP(1)
        .setSeed(index)
        .setTime(Instant.EPOCH)
        .build();
  }
}

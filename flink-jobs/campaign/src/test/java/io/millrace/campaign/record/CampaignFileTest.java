package io.millrace.campaign.record;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.demo.loop.GoldScores.Example;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code campaign.json}, written and read, damaged and foreign. */
class CampaignFileTest {

  @TempDir private Path directory;

  private static CampaignRecord record() {
    StageResult result =
        StageResult.builder()
            .consumed("judgments", 3)
            .checkpoint(new CheckpointRef("policy", "policy", 2, "file:///p/v2", "abc"))
            .metric("loss", 0.5)
            .examples(List.of(new Example("Hi", "Hello")))
            .build();
    StageRecord begun = StageRecord.begun("v0-chat", 0, "Chat", "2026-01-01T00:00:00Z", Map.of());
    return CampaignRecord.empty(1, Map.of("ppo.kl", "0.01"))
        .with(begun.done("2026-01-01T00:01:00Z", 60, result))
        .with(StageRecord.begun("v1-ppo", 1, "PPO", "2026-01-01T00:01:00Z", Map.of("policy", 2L)));
  }

  @Test
  void aRecordSurvivesARoundTrip() throws Exception {
    CampaignFile file = new CampaignFile(directory);
    assertEquals(Optional.empty(), file.read());
    file.write(record());
    assertEquals(Optional.of(record()), file.read());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"format\" : 1, | `` | format is missing",
        "\"format\" : 1 | \"format\" : 1.9 | format is 1.9",
        "\"format\" : 1 | \"format\" : \"1\" | format is \"1\"",
        "\"format\" : 1 | \"format\" : 2 | format is 2",
        "\"seed\" : 1 | \"seed\" : \"1\" | seed",
        "\"seed\" : 1 | \"seed\" : 1.5 | seed",
        "\"seed\" : 1, | `` | seed",
        "\"ppo.kl\" : \"0.01\" | \"ppo.kl\" : null | settings",
        "\"id\" : \"v0-chat\", | `` | id is null or missing",
        "\"v1-ppo\" | \"../../etc/x\" | the id of a stage has letters",
        "\"title\" : \"PPO\", | `` | title is null or missing",
        "\"state\" : \"RUNNING\", | `` | state",
        "\"RUNNING\" | \"DONE\" | a stage has finished and wall_seconds exactly when",
        "\"RUNNING\" | 0 | state",
        "\"attempts\" : 1 | \"attempts\" : 99999999999 | attempts",
        "\"loss\" : 0.5 | \"loss\" : null | metrics",
        "\"loss\" : 0.5 | \"loss\" : \"0.5\" | metrics",
        "\"judgments\" : 3 | \"judgments\" : 3.7 | consumed",
        "\"role\" : \"policy\", | `` | role",
        "\"stages\" : [ | \"stages\" : [ null, | stages",
        "\"prompt\" : \"Hi\", | `` | prompt",
      })
  void aDamagedRecordIsRefusedWithFileAndField(String part, String instead, String problem)
      throws Exception {
    new CampaignFile(directory).write(record());
    Path file = directory.resolve(CampaignFile.NAME);
    String good = Files.readString(file);
    assertTrue(good.contains(part), good);
    Files.writeString(file, good.replace(part, instead));
    String message =
        assertThrows(IOException.class, () -> new CampaignFile(directory).read()).getMessage();
    assertTrue(message.startsWith(file + " is no record of a campaign: "), message);
    assertTrue(message.contains(problem), message);
    assertEquals(1, message.lines().count(), message);
  }
}

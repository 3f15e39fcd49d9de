package io.millrace.cli.status;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import org.junit.jupiter.api.Test;

class StatusReportTest {

  @Test
  void deadLettersAreCountedByReasonOverAllTopics() {
    assertEquals(
        Map.of("invalid", 5L, "too-long", 1L),
        StatusReport.deadLetters(
            Map.of(
                "topics/prompts/accepted", "90",
                "topics/prompts/dead-letters/invalid", "2",
                "topics/prompts/dead-letters/too-long", "1",
                "topics/policy-checkpoints/dead-letters/invalid", "3",
                "topics/prompts/duplicates", "4")));
  }
}

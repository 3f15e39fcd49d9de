package io.millrace.cli.status;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.flink.decode.Totals;
import io.millrace.schemas.Topic;
import java.util.Map;
import org.junit.jupiter.api.Test;

class JobCountsTest {

  @Test
  void countsAreAddedByReasonOverAllTopics() {
    JobCounts counts =
        new JobCounts(
            Map.of(
                "topics/prompts/accepted",
                "90",
                "topics/prompts/dead-letters/invalid",
                "2",
                "topics/prompts/dead-letters/too-long",
                "1",
                "topics/policy-checkpoints/dead-letters/invalid",
                "3",
                "topics/prompts/duplicates",
                "4",
                Totals.prefix(Topic.ROLLOUTS) + Totals.DROPPED + "stale",
                "245",
                Totals.prefix(Topic.ROLLOUTS) + Totals.DROPPED + "after-stop",
                "12"));
    assertEquals(Map.of("invalid", 5L, "too-long", 1L), counts.deadLetters());
    assertEquals(Map.of("stale", 245L, "after-stop", 12L, "duplicate", 4L), counts.dropped());
    assertEquals(245, counts.losses().get("rollouts_stale"), "an early stop loses nothing");
  }

  @Test
  void theReportAlwaysHasEveryLoss() throws Exception {
    ObjectNode job = new ObjectMapper().createObjectNode();
    new JobCounts(
            Map.of(
                Totals.prefix(Topic.PROMPTS) + Totals.DELETED_UNREAD,
                "7",
                Totals.prefix(Topic.ROLLOUTS) + Totals.TOO_LARGE,
                "2",
                Totals.prefix(Topic.REWARDS) + Totals.TOO_LARGE,
                "1",
                Totals.prefix(Topic.ROLLOUTS) + Totals.TRANSACTIONS_LOST,
                "3",
                "ppo",
                "{ppo/kl=-0.5, iterations=600.0, loss=NaN}",
                "warnings",
                "[no labels]",
                "topics/rollouts/dropped/stale",
                "the accumulator failed"))
        .addTo(job);
    assertEquals(
        new ObjectMapper()
            .readTree(
                "{\"records_deleted_unread\": 7, \"records_too_large\": 3, \"rollouts_stale\": 0,"
                    + " \"transactions_lost\": 3}")
            .toString(),
        job.path("losses").toString());
    assertEquals(7, job.path("counts").path("topics/prompts/deleted-unread").longValue());
    assertEquals(
        "{\"ppo\":{\"ppo/kl\":-0.5,\"iterations\":600,\"loss\":\"NaN\"}}",
        job.path("summaries").toString());
    assertEquals("[no labels]", job.path("counts").path("warnings").asText());
  }
}

package io.millrace.cli.status;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.jobs.runtime.JobParameters;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FinishedJobsTest {

  @TempDir Path archive;

  @Test
  void aJobIsReadFromTheArchiveWithItsCountsAndItsLastFailure() throws Exception {
    RecordedJob finished = new RecordedJob(1, "millrace.supervised", "FINISHED").ended(2_000);
    finished.count("topics/demonstrations/accepted", 320).archive(archive);
    RecordedJob failed =
        new RecordedJob(2, "millrace.ppo", "FAILED")
            .ended(3_000)
            .parameter(JobParameters.RUN, "/state/millrace.ppo/000007")
            .count("topics/rollouts/deleted-unread", 10)
            .count("topics/rollouts/dropped/stale", 4)
            .failure(900, "java.io.IOException: earlier", "score (1/1)")
            .failure(
                2_900,
                """
                org.apache.flink.util.FlinkException: x
                \tat A.b(A.java:1)
                Caused by: io.millrace.model.training.DivergedException: the loss is NaN
                \tat C.d(C:2)
                """,
                "ppo updater (1/1)");
    failed.archive(archive.resolve("deeper"));

    List<FinishedJobs.Ended> jobs = FinishedJobs.in(archive);
    assertEquals(2, jobs.size());
    ObjectNode ppo = jobs.getFirst().json();
    assertEquals("millrace.ppo", ppo.path("name").asText());
    assertEquals("FAILED", ppo.path("state").asText());
    assertEquals("1970-01-01T00:00:03Z", ppo.path("ended").asText());
    assertEquals(10, ppo.path("losses").path("records_deleted_unread").asInt());
    assertEquals(4, ppo.path("dropped").path("stale").asInt());
    // As of a job that is alive.
    assertEquals(
        "io.millrace.model.training.DivergedException: the loss is NaN",
        ppo.path("last_failure").path("cause").asText());
    assertEquals("1970-01-01T00:00:02.900Z", ppo.path("last_failure").path("time").asText());
    assertEquals("ppo updater (1/1)", ppo.path("last_failure").path("task").asText());
    assertFalse(ppo.has("failure"));
    assertEquals(
        Map.of(JobParameters.RUN, "/state/millrace.ppo/000007"), jobs.getFirst().parameters());

    ObjectNode supervised = jobs.getLast().json();
    assertEquals("FINISHED", supervised.path("state").asText());
    assertFalse(supervised.has("last_failure"));
    assertEquals(320, supervised.path("counts").path("topics/demonstrations/accepted").asInt());
  }

  @Test
  void anArchiveThatIsNotThereHasNoJobs() throws Exception {
    assertTrue(FinishedJobs.in(archive.resolve("none")).isEmpty());
  }
}

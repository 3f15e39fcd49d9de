package io.millrace.connectors;

import io.millrace.schemas.Prompt;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.time.Instant;
import java.util.List;

/** Records for tests. */
public final class TestRecords {
  private TestRecords() {}

  public static Prompt prompt(String id) {
    List<Turn> dialogue = List.of(new Turn(Role.USER, "What is " + id + "?"));
    return new Prompt(id, dialogue, false, "test", Instant.ofEpochMilli(1_700_000_000_000L));
  }
}

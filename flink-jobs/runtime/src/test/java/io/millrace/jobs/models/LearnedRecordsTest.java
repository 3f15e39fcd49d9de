package io.millrace.jobs.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.Lineage;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Validation;
import io.millrace.schemas.wire.SingleObject;
import java.time.Instant;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class LearnedRecordsTest {

  private static final Instant TIME = Instant.parse("2026-01-02T03:04:05.678Z");

  @Test
  void aVersionHasTheIdsSinceTheVersionBefore() {
    LearnedRecords records = new LearnedRecords("policy", Topic.PROMPTS);
    records.startFrom("supervised", 2);
    records.add("p1");
    records.add("p2");
    records.add("p1");
    records.scoredBy(4, 3);
    records.scoredBy(4, 5);
    Lineage first = only(records.publish(7, TIME));
    assertEquals(List.of("p1", "p2"), first.getIds());
    assertEquals("supervised 2", first.getParentModel() + " " + first.getParent());
    assertEquals(List.of(4L), first.getHelpfulnessVersions());
    assertEquals(List.of(3L, 5L), first.getSafetyVersions());

    records.add("p1");
    Lineage second = only(records.publish(8, TIME));
    assertEquals(List.of("p1"), second.getIds());
    assertEquals("policy 7", second.getParentModel() + " " + second.getParent());
    assertEquals(List.of(), second.getSafetyVersions());
  }

  @Test
  void manyIdsMakePartsThatFitTheSmallestRecordSize() throws Exception {
    LearnedRecords records = new LearnedRecords("policy", Topic.PROMPTS);
    List<String> ids =
        IntStream.range(0, 300).mapToObj(i -> "ü".repeat(508) + "%04d".formatted(i)).toList();
    ids.forEach(records::add);
    List<Lineage> parts = records.publish(1, TIME);
    assertTrue(parts.size() > 1);
    assertEquals(ids, parts.stream().flatMap(part -> part.getIds().stream()).toList());
    for (Lineage part : parts) {
      assertEquals(List.of(), Validation.problems(part));
      assertTrue(SingleObject.of(Lineage.class).encode(part).length < 40 << 10);
    }
    assertEquals("policy/1/1", Topic.LINEAGE.keyOf(parts.get(1)));
  }

  /** A demonstration may have the id "unknown". */
  @Test
  void aRecordOfUnknownIdIsNoOtherRecord() {
    LearnedRecords records = new LearnedRecords("policy", Topic.DEMONSTRATIONS);
    records.add("unknown");
    records.addUnknown();
    Lineage version = only(records.publish(1, TIME));
    assertEquals(List.of("unknown"), version.getIds());
    assertEquals(1, version.getOmitted());
  }

  @Test
  void idsBeyondTheBoundAreCounted() {
    LearnedRecords records = new LearnedRecords("policy", Topic.PROMPTS, 2);
    List.of("p1", "p2", "p1", "p3", "p4").forEach(records::add);
    Lineage record = only(records.publish(1, TIME));
    assertEquals(List.of("p1", "p2"), record.getIds());
    assertEquals(2, record.getOmitted());
    assertEquals(0, only(records.publish(2, TIME)).getOmitted());
  }

  @Test
  void theStateKeepsAll() {
    LearnedRecords records = new LearnedRecords("policy", Topic.PROMPTS, 1);
    records.startFrom("supervised", 2);
    List.of("p1", "p2").forEach(records::add);
    records.scoredBy(4, 3);
    LearnedRecords restored = new LearnedRecords("policy", Topic.PROMPTS, 1);
    restored.restore(records.state(), 0, 9);
    assertEquals(records.publish(7, TIME), restored.publish(7, TIME));
  }

  /** States of earlier builds have no ids. */
  @Test
  void recordsBeforeTheStateHadIdsAreOmitted() {
    LearnedRecords records = new LearnedRecords("policy", Topic.PROMPTS);
    records.startFrom("supervised", 2);
    records.restore(null, 0, 5);
    Lineage first = only(records.publish(3, TIME));
    assertEquals("supervised 2", first.getParentModel() + " " + first.getParent());
    assertEquals(5, first.getOmitted());
    records.restore(null, 8, 5);
    assertEquals(8, only(records.publish(9, TIME)).getParent());
  }

  private static Lineage only(List<Lineage> parts) {
    assertEquals(1, parts.size());
    return parts.getFirst();
  }
}

package io.millrace.campaign;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.demo.loop.AnnotatorService;
import io.millrace.demo.loop.PromptFeeder;
import io.millrace.jobs.models.HeldOut;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.world.Annotators;
import io.millrace.world.DemoWorld;
import java.io.IOException;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * The people of the demo world, who write demonstrations, prompts and judgments. They send no
 * record a second time after an interruption.
 */
final class DemoPeople {

  /** Width of a version's range of prompt numbers; PPO uses the upper half of the range. */
  private static final long NUMBERS = 1_000_000;

  private final KafkaSettings kafka;
  private final CampaignSection section;
  private final DemoWorld world;
  private final Annotators annotators;

  DemoPeople(KafkaSettings kafka, CampaignSection section, long seed) {
    this.kafka = kafka;
    this.section = section;
    this.world = new DemoWorld(seed, InstantSource.system());
    this.annotators = new Annotators(world, seed, InstantSource.system());
  }

  DemoWorld world() {
    return world;
  }

  /** Sends the demonstrations that the chat checkpoint imitates. */
  void sendDemonstrations() throws IOException {
    sendMissing(
        Topic.DEMONSTRATIONS, world.demonstrations(section.demonstrations()), d -> d.getId());
  }

  /** Sends judgments of responses that people wrote, for the first reward models. */
  void sendArchive() throws IOException {
    List<Judgment> archive = new ArrayList<>();
    archive.addAll(annotators.archive(Objective.HELPFULNESS, section.archive()));
    archive.addAll(annotators.archive(Objective.SAFETY, section.archive() / 2));
    sendMissing(Topic.JUDGMENTS, archive, j -> j.getJudgmentId());
  }

  /** Sends the prompts of a version. */
  void sendPrompts(int version) throws IOException {
    sendMissing(
        Topic.PROMPTS, world.prompts(first(version), section.prompts()), p -> p.getPromptId());
  }

  /** A feeder of prompts for a version's PPO. */
  PromptFeeder feeder(RecordWriter writer, int version, int batch, long total) throws IOException {
    long first = first(version) + NUMBERS / 2;
    Set<String> known = ids(Topic.PROMPTS, p -> p.getPromptId());
    long sent = 0;
    while (sent < total && known.contains("prompt-" + (first + sent))) {
      sent++;
    }
    return new PromptFeeder(world, writer, new HeldOut(0), first, batch, total, sent);
  }

  /** Annotators who judge one policy's rollouts for the prompts of one version. */
  AnnotatorService annotators(int version, long policyVersion) throws IOException {
    Set<String> prompts = new HashSet<>();
    for (long i = 0; i < section.prompts(); i++) {
      prompts.add("prompt-" + (first(version) + i));
    }
    Predicate<Rollout> isJudged =
        rollout ->
            rollout.getPolicyVersion() == policyVersion && prompts.contains(rollout.getPromptId());
    return new AnnotatorService(
        kafka, annotators, isJudged, ids(Topic.JUDGMENTS, j -> j.getJudgmentId()));
  }

  private static long first(int version) {
    return version * NUMBERS;
  }

  private interface Id<T> {
    String of(T record);
  }

  private <T extends SpecificRecordBase> void sendMissing(Topic<T> topic, List<T> records, Id<T> id)
      throws IOException {
    Set<String> known = ids(topic, id);
    try (RecordWriter writer = new RecordWriter(kafka)) {
      for (T record : records) {
        if (!known.contains(id.of(record))) {
          writer.send(topic, record);
        }
      }
    }
  }

  private <T extends SpecificRecordBase> Set<String> ids(Topic<T> topic, Id<T> id)
      throws IOException {
    Set<String> ids = new HashSet<>();
    try (RecordReader<T> reader = RecordReader.fromEarliest(kafka, topic)) {
      reader.readToEnd(entry -> entry.record().ifPresent(record -> ids.add(id.of(record))));
    }
    return ids;
  }
}

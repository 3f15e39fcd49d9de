package io.millrace.tests.campaign;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.campaign.Campaign;
import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.campaign.record.StageRecord;
import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.demo.loop.AnnotatorService;
import io.millrace.demo.loop.Progress;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.ConfigTree;
import io.millrace.jobs.models.InitialModel;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Topic;
import io.millrace.world.Annotators;
import io.millrace.world.DemoWorld;
import java.io.IOException;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A campaign on a Kafka of one's own, with annotators of one's own. */
@Tag("slow")
@Timeout(300) // For judgments that never come.
class ExternalCampaignTest {

  private static final int PROMPTS = 24;
  private static final int JUDGMENTS = 12;

  @Test
  void whatWasThereBeforeTheCampaignIsAnsweredAndSampled(@TempDir Path directory) throws Exception {
    try (EmbeddedBroker broker = EmbeddedBroker.start(directory.resolve("kafka"), 0)) {
      KafkaSettings kafka = KafkaSettings.of(broker.bootstrapServers());
      try (TopicAdmin admin = new TopicAdmin(kafka)) {
        admin.createAll(1, 1);
      }
      DemoWorld world = new DemoWorld(1, InstantSource.system());
      Annotators annotators = new Annotators(world, 1, InstantSource.system());
      List<Prompt> prompts = world.prompts(0, PROMPTS);
      send(kafka, prompts);

      Campaign campaign =
          new Campaign(tree(directory, broker.bootstrapServers()), new Progress(System.out));
      CampaignRecord record;
      try (AnnotatorService service = new AnnotatorService(kafka, annotators)) {
        service.start();
        record = campaign.run();
      }

      assertEquals(
          List.of("v0-chat", "v1-judgments", "v1-reward-models", "v1-rejection-sampling"),
          record.stages().stream().map(StageRecord::id).toList());
      StageRecord judgments = record.stages().get(1);
      assertTrue(
          judgments.produced().values().stream().mapToLong(n -> n).sum() >= JUDGMENTS,
          judgments.toString());
      StageRecord sampling = record.stages().get(3);
      assertEquals(
          PROMPTS, sampling.consumed().get("prompts"), "prompts from before were left out");
      assertEquals(1, sampling.checkpoint(CheckpointRef.POLICY).orElseThrow().version());
      assertEquals(idsOf(prompts), sentPrompts(kafka), "the campaign sends no prompts");
      assertTrue(judgedBy(kafka).stream().allMatch(name -> name.startsWith("annotator-")));
    }
  }

  private static ConfigTree tree(Path directory, String bootstrapServers) throws IOException {
    List<String> settings =
        new ArrayList<>(SmallCampaign.settings(directory.resolve("campaign"), 1));
    settings.addAll(
        List.of(
            "campaign.annotators=external",
            "campaign.judgments=" + JUDGMENTS,
            "kafka.bootstrap-servers=" + bootstrapServers,
            "checkpoints.directory=" + directory.resolve("checkpoints"),
            "flink.state-directory=" + directory.resolve("flink"),
            "reward-model.batch-size=8",
            "rejection-sampling.batch-size=4",
            "rejection-sampling.sequence-length=128",
            "rollout.batch-size=16",
            "rollout.samples-per-prompt=2"));
    ConfigTree tree = ConfigLoader.tree(Optional.empty()).with(settings);
    String chat = InitialModel.ensure(tree.config(List.of())).model().initial();
    return tree.with(List.of("model.initial=" + chat));
  }

  private static void send(KafkaSettings kafka, List<Prompt> prompts) throws Exception {
    try (RecordWriter writer = new RecordWriter(kafka)) {
      for (Prompt prompt : prompts) {
        writer.send(Topic.PROMPTS, prompt);
      }
    }
  }

  private static Set<String> idsOf(List<Prompt> prompts) {
    Set<String> ids = new TreeSet<>();
    prompts.forEach(prompt -> ids.add(prompt.getPromptId()));
    return ids;
  }

  private static Set<String> sentPrompts(KafkaSettings kafka) throws Exception {
    List<Prompt> sent = new ArrayList<>();
    try (RecordReader<Prompt> reader = RecordReader.fromEarliest(kafka, Topic.PROMPTS)) {
      reader.readToEnd(entry -> entry.record().ifPresent(sent::add));
    }
    assertEquals(PROMPTS, sent.size());
    return idsOf(sent);
  }

  private static Set<String> judgedBy(KafkaSettings kafka) throws Exception {
    Set<String> people = new TreeSet<>();
    try (RecordReader<Judgment> reader = RecordReader.fromEarliest(kafka, Topic.JUDGMENTS)) {
      reader.readToEnd(
          entry -> entry.record().ifPresent(judgment -> people.add(judgment.getAnnotator())));
    }
    return people;
  }
}

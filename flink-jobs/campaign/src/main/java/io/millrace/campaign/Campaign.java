package io.millrace.campaign;

import io.millrace.campaign.record.CampaignFile;
import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.StageRecord;
import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.demo.loop.Progress;
import io.millrace.jobs.config.ConfigTree;
import io.millrace.jobs.config.ConfigValues;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.evaluation.EvaluationSection;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.runtime.LocalCluster;
import io.millrace.world.HeldOutWriter;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Runs all versions of a campaign in this process. After an interruption, a second run with the
 * same configuration continues with the interrupted stage.
 */
public final class Campaign {

  private static final int SLOTS = 24;

  /** Options that may differ from run to run: places, and the number of versions. */
  private static final List<String> FREE =
      List.of(
          "kafka.",
          "schema.",
          "checkpoints.",
          "flink.",
          "compute.",
          "campaign.directory",
          "evaluation.prompts",
          "evaluation.demonstrations",
          "evaluation.judgments",
          "campaign.versions",
          "campaign.compare-bags",
          "model.initial",
          "rejection-sampling.bag");

  private final ConfigTree tree;
  private final MillraceConfig config;
  private final Path directory;
  private final Progress progress;
  private final CampaignFile file;

  /**
   * A campaign.
   *
   * @param given the configuration; in the demo world, options without a value get defaults
   * @throws IllegalArgumentException if its sections do not fit a campaign
   */
  public Campaign(ConfigTree given, Progress progress) {
    boolean demo = given.config(List.of()).section(CampaignSection.class).demo();
    this.tree = demo ? DemoDefaults.in(given) : given;
    this.config = tree.config(List.of()).withAbsolutePaths();
    CampaignSection section = config.section(CampaignSection.class);
    section.checkDemo(config);
    this.directory = Path.of(section.directory());
    this.progress = progress;
    this.file = new CampaignFile(directory);
  }

  /** The campaign's directory, which holds its record. */
  public Path directory() {
    return directory;
  }

  /**
   * Runs the campaign to its end.
   *
   * @throws IOException also where the directory holds a campaign with other settings
   */
  public CampaignRecord run() throws Exception {
    Files.createDirectories(directory);
    try (FileChannel _ = lock()) {
      CampaignRecord known = known();
      CampaignSection section = config.section(CampaignSection.class);
      if (!section.demo()) {
        return run(tree, known);
      }
      var _ =
          new HeldOutWriter(config.model().seed(), InstantSource.fixed(Instant.EPOCH))
              .write(DemoDefaults.heldOut(directory), section.heldOut());
      try (EmbeddedBroker broker = EmbeddedBroker.start(directory.resolve("kafka"), 0)) {
        return run(
            tree.with(List.of("kafka.bootstrap-servers=" + broker.bootstrapServers())), known);
      }
    }
  }

  /** A lock for the life of the process: two processes would overwrite each other's record. */
  private FileChannel lock() throws IOException {
    FileChannel channel =
        FileChannel.open(
            directory.resolve("campaign.lock"),
            StandardOpenOption.CREATE,
            StandardOpenOption.WRITE);
    FileLock lock = null;
    try {
      lock = channel.tryLock();
    } catch (OverlappingFileLockException e) {
      // This process holds the lock: the error below covers this case too.
    }
    if (lock == null) {
      channel.close();
      throw new IOException(directory + " is in use by another running campaign");
    }
    return channel;
  }

  private CampaignRecord known() throws IOException {
    Map<String, String> settings = new TreeMap<>(ConfigValues.of(config));
    settings.keySet().removeIf(key -> FREE.stream().anyMatch(key::startsWith));
    CampaignRecord known =
        file.read().orElseGet(() -> CampaignRecord.empty(config.model().seed(), settings));
    List<String> others = new ArrayList<>();
    Map<String, String> knownSettings = ConfigValues.completed(known.settings(), settings);
    Map<String, String> all = new TreeMap<>(knownSettings);
    settings.forEach(all::putIfAbsent);
    all.forEach(
        (key, value) -> {
          String was = knownSettings.getOrDefault(key, "not set");
          String is = settings.getOrDefault(key, "not set");
          if (!was.equals(is)) {
            others.add("%s was %s, not %s".formatted(key, was, is));
          }
        });
    if (!others.isEmpty()) {
      throw new IOException(
          "the campaign in %s has other settings (%s); use its settings, or another campaign.directory"
              .formatted(directory, String.join("; ", others)));
    }
    return known;
  }

  private CampaignRecord run(ConfigTree whole, CampaignRecord known) throws Exception {
    try (LocalCluster cluster = LocalCluster.start(SLOTS)) {
      CampaignContext context = new CampaignContext(whole, cluster, progress);
      try (TopicAdmin admin = new TopicAdmin(JobSettings.kafka(context.config()))) {
        admin.createAll(1, TopicAdmin.CLUSTER_DEFAULT);
      }
      progress.stage("Kafka and Flink run; the campaign's directory is " + directory);
      StageEngine engine = new StageEngine(file::write, InstantSource.system(), this::print);
      return engine.run(known, stages(context));
    }
  }

  private void print(StageRecord stage) {
    if (!stage.isDone()) {
      progress.stage(
          "%s: %s%s"
              .formatted(
                  CampaignRecord.name(stage.version()),
                  stage.title(),
                  stage.attempts() > 1 ? " (attempt %d)".formatted(stage.attempts()) : ""));
    }
  }

  private List<Stage> stages(CampaignContext context) {
    CampaignSection section = config.section(CampaignSection.class);
    DemoPeople people =
        section.demo() ? new DemoPeople(context.kafka(), section, config.model().seed()) : null;
    List<Stage> stages = new ArrayList<>();
    stages.add(
        config.model().initial().isBlank()
            ? new SupervisedStage(context, people)
            : new ChatStage(context));
    if (people != null) {
      if (section.archive() > 0) {
        stages.add(new ArchiveStage(people, section.archive()));
      }
      stages.add(new GoldStage(context, 0, people));
    }
    for (int version = 1; version <= section.versions(); version++) {
      stages.add(new JudgmentStage(context, version, people));
      stages.add(new RewardModelStage(context, version));
      stages.add(new RejectionStage(context, version));
      if (version >= section.ppoFromVersion()) {
        stages.add(new PpoStage(context, version, people));
      }
      if (!context.config().section(EvaluationSection.class).prompts().isBlank()) {
        stages.add(new EvaluationStage(context, version));
      }
      if (people != null) {
        stages.add(new GoldStage(context, version, people));
      }
    }
    if (people != null && section.compareBags() && section.versions() > 1) {
      stages.add(new BagComparisonStage(context, section.versions(), people));
    }
    return stages;
  }
}

package io.millrace.report;

import io.millrace.campaign.record.CampaignFile;
import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.campaign.record.StageRecord;
import io.millrace.demo.loop.Summaries;
import io.millrace.report.RunData.LabelledMetrics;
import io.millrace.report.RunData.Samples;
import io.millrace.report.RunData.Version;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.TrainingMetrics;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Reads the directory of a campaign. */
final class CampaignSource {

  /** End of the id of the comparison stage, whose policy is no version. */
  private static final String COMPARISON = "-last-samples-only";

  private CampaignSource() {}

  static RunData read(Path directory) throws IOException {
    CampaignRecord record =
        new CampaignFile(directory)
            .read()
            .orElseThrow(
                () ->
                    new NoSuchFileException(
                        directory.resolve(CampaignFile.NAME).toString(),
                        null,
                        "there is no campaign in " + directory));
    RunData run =
        new RunData(
            "Campaign",
            "%s · seed %d · %d stages, %.0f s"
                .formatted(
                    record.versions().isEmpty()
                        ? "no stage done"
                        : record.versions().getLast().name(),
                    record.seed(),
                    record.stages().size(),
                    record.versions().stream()
                        .mapToDouble(CampaignRecord.Version::wallSeconds)
                        .sum()));
    record.versions().forEach(version -> add(run, version));
    for (StageRecord stage : record.stages()) {
      String version = CampaignRecord.name(stage.version());
      if (!stage.examples().isEmpty()) {
        run.samples.add(new Samples(version, stage.examples()));
      }
      if (!stage.id().endsWith(COMPARISON)) {
        Curves.add(
            run,
            version,
            RecordFiles.read(CampaignFile.metrics(directory, stage.id()), TrainingMetrics.class));
      }
    }
    run.promotions.addAll(
        RecordFiles.read(directory.resolve(CampaignFile.PROMOTIONS), Promotion.class));
    return run;
  }

  private static void add(RunData run, CampaignRecord.Version version) {
    Optional<CheckpointRef> policy = Optional.ofNullable(version.policy());
    run.versions.add(
        new Version(
            version.name(),
            version.parent() == null ? "" : version.parent(),
            policy.map(checkpoint -> "v" + checkpoint.version()).orElse(""),
            policy.map(CheckpointRef::uri).orElse(""),
            policy.map(CheckpointRef::manifestSha256).orElse(""),
            counts(version.counts()),
            version.wallSeconds()));
    Map<String, Double> metrics = version.metrics();
    if (metrics.containsKey("gold/helpfulness")) {
      run.gold.add(new LabelledMetrics(version.name(), metrics));
    }
    if (metrics.containsKey("reward-model/helpfulness/accuracy/all")) {
      run.rewardModels.add(
          new LabelledMetrics(version.name(), Summaries.section(metrics, "reward-model/")));
    }
    if (metrics.containsKey("rejection/all/mean")) {
      run.rejection.add(new LabelledMetrics(version.name(), metrics));
    }
    addBag(run, version.name() + ": samples of all versions", metrics, "bag/all/");
    addBag(run, version.name() + ": its own samples only", metrics, "bag/last/");
  }

  private static Map<String, Long> counts(Map<String, Long> ofVersion) {
    Map<String, Long> counts = new TreeMap<>();
    ofVersion.forEach(
        (name, count) -> {
          if (name.startsWith("consumed/reward-models/")) {
            counts.merge("judgments", count, Long::sum);
          } else if (name.equals("consumed/ppo/rollouts")) {
            counts.put("rollouts", count);
          }
        });
    return counts;
  }

  private static void addBag(
      RunData run, String label, Map<String, Double> metrics, String prefix) {
    Map<String, Double> bag = Summaries.section(metrics, prefix);
    if (bag.containsKey("gold/helpfulness")) {
      run.bags.add(new LabelledMetrics(label, bag));
    }
  }
}

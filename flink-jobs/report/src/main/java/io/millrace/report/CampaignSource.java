package io.millrace.report;

import io.millrace.campaign.record.CampaignFile;
import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CampaignRecord.Version;
import io.millrace.campaign.record.StageRecord;
import io.millrace.report.RunData.Labelled;
import io.millrace.report.RunData.Line;
import io.millrace.report.RunData.Said;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.TrainingMetrics;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** A campaign's directory. */
final class CampaignSource {

  /** Not of the policy's line: only its gold reward is shown. */
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
                        ? "nothing done yet"
                        : record.versions().getLast().name(),
                    record.seed(),
                    record.stages().size(),
                    record.versions().stream().mapToDouble(Version::wallSeconds).sum()));
    for (Version version : record.versions()) {
      add(run, version);
    }
    for (StageRecord stage : record.stages()) {
      if (!stage.said().isEmpty()) {
        run.said.add(new Said(CampaignRecord.name(stage.version()), stage.said()));
      }
      if (stage.id().endsWith(COMPARISON)) {
        continue;
      }
      Curves.add(
          run,
          CampaignRecord.name(stage.version()),
          RecordFiles.read(CampaignFile.metrics(directory, stage.id()), TrainingMetrics.class));
    }
    run.promotions.addAll(
        RecordFiles.read(directory.resolve(CampaignFile.PROMOTIONS), Promotion.class));
    return run;
  }

  private static void add(RunData run, Version version) {
    Map<String, Double> figures = version.figures();
    Map<String, Long> counts = new TreeMap<>();
    version
        .counts()
        .forEach(
            (name, count) -> {
              if (name.startsWith("consumed/reward-models/")) {
                counts.merge("judgments", count, Long::sum);
              } else if (name.equals("consumed/ppo/rollouts")) {
                counts.put("rollouts", count);
              }
            });
    run.lineage.add(
        new Line(
            version.name(),
            version.parent() == null ? "" : version.parent(),
            version.policy() == null ? "" : "v" + version.policy().version(),
            version.policy() == null ? "" : version.policy().uri(),
            version.policy() == null ? "" : version.policy().manifestSha256(),
            counts,
            version.wallSeconds()));
    if (figures.containsKey("gold/helpfulness")) {
      run.gold.add(new Labelled(version.name(), figures));
    }
    if (figures.containsKey("reward-model/helpfulness/accuracy/all")) {
      run.rewardModels.add(new Labelled(version.name(), below("reward-model/", figures)));
    }
    if (figures.containsKey("rejection/all/mean")) {
      run.rejection.add(new Labelled(version.name(), figures));
    }
    for (String bag : List.of("all", "last")) {
      Map<String, Double> of = below("bag/" + bag + "/", figures);
      if (of.containsKey("gold/helpfulness")) {
        run.bags.add(
            new Labelled(
                version.name()
                    + (bag.equals("all") ? ": samples of all versions" : ": its own samples only"),
                of));
      }
    }
  }

  /** The figures below a prefix, without it. */
  static Map<String, Double> below(String prefix, Map<String, Double> figures) {
    return figures.entrySet().stream()
        .filter(entry -> entry.getKey().startsWith(prefix))
        .collect(
            Collectors.toMap(
                entry -> entry.getKey().substring(prefix.length()), Map.Entry::getValue));
  }
}

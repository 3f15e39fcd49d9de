package io.millrace.cli.job;

import io.millrace.campaign.Campaign;
import io.millrace.campaign.CampaignSection;
import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CampaignTable;
import io.millrace.cli.option.JobOptions;
import io.millrace.demo.loop.Progress;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.ConfigTree;
import io.millrace.jobs.config.MillraceConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code millrace campaign}. */
@Command(
    name = "campaign",
    mixinStandardHelpOptions = true,
    description = {
      "Runs RLHF-V1, V2, … in turn. Each version collects judgments of the latest policy's samples,"
          + " trains reward models, and fine-tunes by rejection sampling; later versions add PPO."
          + " A campaign that was interrupted continues when it runs again.",
      "Without --config it takes some minutes in this process, on the demo world.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace campaign",
      "  millrace campaign --config campaign.yaml",
      "  millrace campaign --seed 2 --set campaign.directory=two --set campaign.versions=3",
    })
public final class CampaignCommand implements Callable<Integer> {

  @Option(
      names = "--config",
      description = "YAML file with options (docs/configuration.md lists all).")
  private Path config;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Overrides an option of the file, such as ppo.kl=0.02; may be repeated.")
  private List<String> settings = new ArrayList<>();

  @Option(names = "--seed", paramLabel = "N", description = "Short for --set model.seed=N.")
  private Long seed;

  @Override
  public Integer call() throws Exception {
    List<String> all = new ArrayList<>(settings);
    if (seed != null) {
      all.add("model.seed=" + seed);
    }
    ConfigTree file = ConfigLoader.tree(Optional.ofNullable(config));
    // Reports every problem before the work starts.
    MillraceConfig checked = file.config(all).withAbsolutePaths();
    JobOptions.requireInitial(checked);
    JobOptions.requireWritable(
        "campaign.directory", checked.section(CampaignSection.class).directory());
    Campaign campaign = new Campaign(file.with(all), new Progress(System.out));
    CampaignRecord record = campaign.run();
    CampaignTable.lines(record).forEach(System.out::println);
    System.out.println();
    System.out.println("Record: " + campaign.directory().resolve("campaign.json"));
    return 0;
  }
}

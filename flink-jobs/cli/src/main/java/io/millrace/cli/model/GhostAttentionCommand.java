package io.millrace.cli.model;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.supervised.GhostAttentionBuilder;
import io.millrace.model.supervised.GhostAttentionMeasure;
import io.millrace.model.supervised.GhostAttentionMeasure.AtTurn;
import io.millrace.model.supervised.GhostAttentionMeasure.Measured;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.report.GhostAttentionPage;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.wire.JsonLines;
import io.millrace.world.GhostWorld;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace ghost-attention}. */
@Command(
    name = "ghost-attention",
    mixinStandardHelpOptions = true,
    description =
        "Teaches a policy to go on heeding an instruction of the first turn, and measures it.",
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      GhostAttentionCommand.Demo.class,
      GhostAttentionCommand.Build.class,
      GhostAttentionCommand.Measure.class
    },
    footer = {"", "docs/supervised.md has a whole run."})
public final class GhostAttentionCommand {

  /** How answers are sampled, and from what. */
  static final class Sampling {
    @Option(
        names = "--dialogues",
        required = true,
        description = "JSON Lines; answers are left out.")
    private Path dialogues;

    @Option(
        names = "--instructions",
        required = true,
        description = "JSON Lines, each with group, text, shortened and expected.")
    private Path instructions;

    @Option(
        names = "--max-tokens",
        defaultValue = "64",
        description = "Tokens of an answer at most (default: ${DEFAULT-VALUE}).")
    private int maxTokens;

    @Option(
        names = "--temperature",
        defaultValue = "1.0",
        description = "0 takes the likeliest token (default: ${DEFAULT-VALUE}).")
    private float temperature;

    @Option(names = "--seed", defaultValue = "1", description = "(default: ${DEFAULT-VALUE}).")
    private long seed;

    private SamplingOptions options() {
      return new SamplingOptions(maxTokens, temperature, 1);
    }
  }

  private interface Use<T> {
    T of(LanguageModel model, ChatTemplate template);
  }

  private static <T> T with(Path checkpoint, Use<T> use) {
    try (Backend backend = Backends.openDefault();
        CheckpointDirectory directory = CheckpointDirectory.open(checkpoint);
        LanguageModel model = ModelWeights.languageModel(backend, directory);
        Tokenizer tokenizer = Tokenizer.load(checkpoint)) {
      return use.of(model, ChatTemplate.of(tokenizer));
    }
  }

  /** {@code millrace ghost-attention build}. */
  @Command(
      name = "build",
      mixinStandardHelpOptions = true,
      description = {
        "Samples answers with an instruction in every user turn, and writes demonstrations that"
            + " have it in the first turn only and are learned from their last answer alone.",
        "job supervised takes them as supervised.file, or from the topic after millrace produce.",
      })
  static final class Build implements Callable<Integer> {
    @Option(names = "--checkpoint", required = true, description = "The latest policy.")
    private Path checkpoint;

    @Mixin private Sampling sampling;

    @Option(
        names = "--combine",
        defaultValue = "2",
        description = "Instructions of one dialogue at most (default: ${DEFAULT-VALUE}).")
    private int combine;

    @Option(names = "--out", required = true, description = "JSON Lines to write.")
    private Path out;

    @Override
    public Integer call() throws IOException {
      GhostAttentionBuilder builder =
          new GhostAttentionBuilder(
              LineFiles.instructions(sampling.instructions),
              combine,
              sampling.seed,
              InstantSource.system());
      var dialogues = LineFiles.dialogues(sampling.dialogues);
      List<Demonstration> demonstrations =
          with(
              checkpoint,
              (model, template) -> builder.build(model, template, dialogues, sampling.options()));
      try (Writer writer = Files.newBufferedWriter(out)) {
        for (Demonstration demonstration : demonstrations) {
          writer.write(JsonLines.write(demonstration) + "\n");
        }
      }
      System.out.printf(
          "%d demonstrations of %d dialogues to %s%n",
          demonstrations.size(), dialogues.size(), out);
      return 0;
    }
  }

  /** {@code millrace ghost-attention measure}. */
  @Command(
      name = "measure",
      mixinStandardHelpOptions = true,
      description =
          "Share of dialogues in which an instruction of turn 1 holds at turn 2, 4, …, 20, and the"
              + " attention to it, for a policy with Ghost Attention and one without.")
  static final class Measure implements Callable<Integer> {
    @Option(names = "--with", required = true, description = "Checkpoint with Ghost Attention.")
    private Path with;

    @Option(names = "--without", required = true, description = "Checkpoint without it.")
    private Path without;

    @Mixin private Sampling sampling;

    @Option(names = "--json", description = "File for the figures.")
    private Path json;

    @Option(names = "--page", description = "HTML file for the pictures.")
    private Path page;

    @Override
    public Integer call() throws IOException {
      GhostAttentionMeasure measure =
          new GhostAttentionMeasure(
              LineFiles.instructions(sampling.instructions),
              LineFiles.dialogues(sampling.dialogues),
              sampling.options(),
              sampling.seed);
      Measured after = GhostAttentionCommand.with(with, measure::measure);
      Measured before = GhostAttentionCommand.with(without, measure::measure);
      System.out.println("turn  with  without");
      for (AtTurn point : after.holds()) {
        System.out.printf(
            Locale.ROOT,
            "%4d  %4.2f  %7.2f%n",
            point.turn(),
            point.share(),
            before.at(point.turn()));
      }
      if (json != null) {
        new ObjectMapper()
            .enable(SerializationFeature.INDENT_OUTPUT)
            .writeValue(json.toFile(), Map.of("with", after, "without", before));
      }
      if (page != null) {
        Files.writeString(page, GhostAttentionPage.html(after, before));
      }
      return 0;
    }
  }

  /** {@code millrace ghost-attention demo}. */
  @Command(
      name = "demo",
      mixinStandardHelpOptions = true,
      description =
          "Writes the demo world's texts, demonstrations, instructions and dialogues as files.")
  static final class Demo implements Callable<Integer> {
    private static final int DEMONSTRATIONS = 3000;
    private static final int DIALOGUES = 800;
    private static final int HELD_OUT = 96;

    @Option(names = "--out", required = true, description = "Directory to write to.")
    private Path out;

    @Option(names = "--seed", defaultValue = "1", description = "(default: ${DEFAULT-VALUE}).")
    private long seed;

    @Override
    public Integer call() throws IOException {
      GhostWorld world = new GhostWorld(seed);
      int last = GhostAttentionMeasure.LAST_TURN;
      var demonstrations = world.demonstrations(DEMONSTRATIONS);
      Files.createDirectories(out);
      LineFiles.writeTexts(out.resolve("texts.jsonl"), demonstrations);
      LineFiles.writeDialogues(out.resolve("demonstrations.jsonl"), demonstrations);
      LineFiles.writeInstructions(out.resolve("instructions.jsonl"), GhostWorld.instructions());
      LineFiles.writeDialogues(
          out.resolve("dialogues.jsonl"), world.dialogues("ghost-training", DIALOGUES, 2, last));
      LineFiles.writeDialogues(
          out.resolve("held-out.jsonl"), world.dialogues("ghost-held-out", HELD_OUT, last, last));
      System.out.println("wrote texts, demonstrations, instructions and dialogues to " + out);
      return 0;
    }
  }
}

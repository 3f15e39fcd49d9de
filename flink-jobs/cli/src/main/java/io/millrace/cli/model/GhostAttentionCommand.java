package io.millrace.cli.model;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.millrace.cli.option.ConfigOptions;
import io.millrace.cli.option.UserException;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.checkpoint.CheckpointDirectory;
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
        "Makes and measures Ghost Attention: a policy follows an instruction of the first turn in"
            + " all later turns.",
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      GhostAttentionCommand.Demo.class,
      GhostAttentionCommand.Build.class,
      GhostAttentionCommand.Measure.class
    },
    footer = {
      "",
      "Example:",
      "  millrace ghost-attention demo --out ghost",
      "",
      "docs/supervised.md shows a whole run.",
    })
public final class GhostAttentionCommand {

  /** Dialogues, instructions and sampling of the responses. */
  static final class Sampling {
    @Option(
        names = "--dialogues",
        required = true,
        description = "JSON Lines file of dialogues; the command ignores their responses.")
    private Path dialogues;

    @Option(
        names = "--instructions",
        required = true,
        description =
            "JSON Lines file of instructions, each with group, text, shortened and expected.")
    private Path instructions;

    @Option(
        names = "--max-tokens",
        defaultValue = "64",
        description = "Most tokens of a response (default: ${DEFAULT-VALUE}).")
    private int maxTokens;

    @Option(
        names = "--temperature",
        defaultValue = "1.0",
        description =
            "Sampling temperature; 0 always takes the most likely token"
                + " (default: ${DEFAULT-VALUE}).")
    private float temperature;

    @Option(names = "--seed", defaultValue = "1", description = "Seed (default: ${DEFAULT-VALUE}).")
    private long seed;

    private SamplingOptions options() {
      SamplingChecks.require(maxTokens, temperature);
      return new SamplingOptions(maxTokens, temperature, 1);
    }
  }

  /**
   * Checks, before the sampling, that a file can be written that is none of the input.
   *
   * @throws UserException naming the option and the file
   */
  private static void requireWritable(String option, Path file, Sampling sampling)
      throws IOException {
    for (Path input : List.of(sampling.dialogues, sampling.instructions)) {
      if (Files.exists(file) && Files.exists(input) && Files.isSameFile(file, input)) {
        throw new UserException(
            "%s must not be %s, which is read; name another file".formatted(option, file));
      }
    }
    Path parent = file.toAbsolutePath().getParent();
    if (Files.exists(file)
        ? !Files.isRegularFile(file) || !Files.isWritable(file)
        : parent == null || !Files.isDirectory(parent) || !Files.isWritable(parent)) {
      throw new UserException(
          "%s must be a file in a directory that exists and can be written, not %s"
              .formatted(option, file));
    }
  }

  private interface Use<T> {
    T of(LanguageModel model, ChatTemplate template);
  }

  private static <T> T with(Path checkpoint, Use<T> use) throws IOException {
    try (Backend backend = Backends.openDefault();
        CheckpointDirectory directory = CheckpointDirectory.open(checkpoint);
        LanguageModel model = OpenPolicy.languageModel(backend, new ConfigOptions(), directory);
        Tokenizer tokenizer = Tokenizer.load(checkpoint)) {
      return use.of(model, ChatTemplate.of(tokenizer));
    }
  }

  /** {@code millrace ghost-attention build}. */
  @Command(
      name = "build",
      mixinStandardHelpOptions = true,
      description = {
        "Samples responses to dialogues with an instruction in every user turn. Writes them as"
            + " demonstrations with the instruction in the first turn only, of which the last"
            + " response is learned.",
        "The job supervised reads them as supervised.file, or from the topic after millrace"
            + " produce.",
      },
      footer = {
        "",
        "Example:",
        "  millrace ghost-attention build --checkpoint DIR --dialogues dialogues.jsonl \\",
        "    --instructions instructions.jsonl --out ghost.jsonl",
      })
  static final class Build implements Callable<Integer> {
    @Option(
        names = "--checkpoint",
        required = true,
        paramLabel = "DIR",
        description = "Checkpoint directory of the latest policy.")
    private Path checkpoint;

    @Mixin private Sampling sampling;

    @Option(
        names = "--combine",
        defaultValue = "2",
        description = "Most instructions of one dialogue (default: ${DEFAULT-VALUE}).")
    private int combine;

    @Option(
        names = "--out",
        required = true,
        paramLabel = "FILE",
        description = "JSON Lines file to write.")
    private Path out;

    @Override
    public Integer call() throws IOException {
      if (combine < 1) {
        throw new UserException("--combine must be at least 1, not " + combine);
      }
      SamplingOptions options = sampling.options();
      requireWritable("--out", out, sampling);
      GhostAttentionBuilder builder =
          new GhostAttentionBuilder(
              LineFiles.instructions(sampling.instructions),
              combine,
              sampling.seed,
              InstantSource.system());
      var dialogues = LineFiles.dialogues(sampling.dialogues);
      GhostAttentionBuilder.Built built =
          with(checkpoint, (model, template) -> builder.build(model, template, dialogues, options));
      try (Writer writer = Files.newBufferedWriter(out)) {
        for (Demonstration demonstration : built.demonstrations()) {
          writer.write(JsonLines.write(demonstration) + "\n");
        }
      }
      System.out.printf(
          "wrote %d demonstrations from %d dialogues to %s%n"
              + "left out %d dialogues whose last answer breaks an instruction, and %d with a blank"
              + " answer%n",
          built.demonstrations().size(), dialogues.size(), out, built.broken(), built.blank());
      return 0;
    }
  }

  /** {@code millrace ghost-attention measure}. */
  @Command(
      name = "measure",
      mixinStandardHelpOptions = true,
      description =
          "Measures, for a policy with Ghost Attention and one without, in which share of the"
              + " dialogues an instruction of turn 1 still holds at turn 2, 4, …, 20.",
      footer = {
        "",
        "Example:",
        "  millrace ghost-attention measure --with DIR --without DIR --dialogues held-out.jsonl \\",
        "    --instructions instructions.jsonl --json ghost.json",
      })
  static final class Measure implements Callable<Integer> {
    @Option(
        names = "--with",
        required = true,
        paramLabel = "DIR",
        description = "Checkpoint directory of the policy with Ghost Attention.")
    private Path with;

    @Option(
        names = "--without",
        required = true,
        paramLabel = "DIR",
        description = "Checkpoint directory of the policy without it.")
    private Path without;

    @Mixin private Sampling sampling;

    @Option(
        names = "--json",
        paramLabel = "FILE",
        description = "JSON file for the shares and the attention to the instruction.")
    private Path json;

    @Option(names = "--page", paramLabel = "FILE", description = "HTML file for the charts.")
    private Path page;

    @Override
    public Integer call() throws IOException {
      SamplingOptions options = sampling.options();
      if (json != null) {
        requireWritable("--json", json, sampling);
      }
      if (page != null) {
        requireWritable("--page", page, sampling);
        if (json != null && page.toAbsolutePath().equals(json.toAbsolutePath())) {
          throw new UserException("--page and --json must be two files, not both " + page);
        }
      }
      GhostAttentionMeasure measure =
          new GhostAttentionMeasure(
              LineFiles.instructions(sampling.instructions),
              LineFiles.dialogues(sampling.dialogues),
              options,
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
          "Writes texts, demonstrations, instructions and dialogues of the demo world to files.",
      footer = {"", "Example:", "  millrace ghost-attention demo --out ghost"})
  static final class Demo implements Callable<Integer> {
    private static final int DEMONSTRATIONS = 3000;
    private static final int DIALOGUES = 800;
    private static final int HELD_OUT = 96;

    @Option(
        names = "--out",
        required = true,
        paramLabel = "DIR",
        description = "Directory for the files.")
    private Path out;

    @Option(names = "--seed", defaultValue = "1", description = "Seed (default: ${DEFAULT-VALUE}).")
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

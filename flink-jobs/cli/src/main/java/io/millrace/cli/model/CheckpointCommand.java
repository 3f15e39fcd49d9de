package io.millrace.cli.model;

import io.millrace.cli.option.ConfigOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.checkpoint.CheckpointAdapter;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointException;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.checkpoint.DType;
import io.millrace.model.checkpoint.VerifyReport;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.TokenizerException;
import io.millrace.schemas.Printable;
import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code millrace checkpoint}. */
@Command(
    name = "checkpoint",
    mixinStandardHelpOptions = true,
    description = "Inspects, verifies and exports model checkpoints; sets chat templates.",
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      CheckpointCommand.Inspect.class,
      CheckpointCommand.Verify.class,
      CheckpointCommand.Export.class,
      SetTemplateCommand.class
    },
    footer = {
      "",
      "Examples:",
      "  millrace checkpoint inspect millrace-data/checkpoints/policy/v000002",
      "  millrace checkpoint verify millrace-data/checkpoints/policy/v000002",
      "  millrace checkpoint verify s3://bucket/checkpoints/policy/v000002 --config millrace.yaml",
      "  millrace checkpoint export millrace-data/checkpoints/policy/v000002 --out policy-bf16",
      "  millrace checkpoint set-template /models/my-llama --form llama2",
    })
public final class CheckpointCommand {

  @Command(
      name = "inspect",
      mixinStandardHelpOptions = true,
      description = "Prints the shape, lineage, counts and metrics of a checkpoint.",
      footer = {"", "Example:", "  millrace checkpoint inspect DIR"})
  static final class Inspect implements Callable<Integer> {

    @Parameters(paramLabel = "DIR", description = "Checkpoint directory or URI.")
    private String checkpoint;

    @Mixin private ConfigOptions options;

    @Override
    public Integer call() throws IOException {
      try (LocalCheckpoint files = options.open(checkpoint)) {
        CheckpointDirectory.inspect(files.directory())
            .forEach(line -> System.out.println(Printable.line(line)));
      }
      return 0;
    }
  }

  @Command(
      name = "verify",
      mixinStandardHelpOptions = true,
      description =
          "Checks the digest of every file, every weight, the tokenizer and the chat template.",
      footer = {"", "Example:", "  millrace checkpoint verify DIR"})
  static final class Verify implements Callable<Integer> {

    @Parameters(paramLabel = "DIR", description = "Checkpoint directory or URI.")
    private String checkpoint;

    @Mixin private ConfigOptions options;

    @Option(
        names = "--without-manifest",
        description = "Accept a directory of another project, which has no millrace.json.")
    private boolean withoutManifest;

    @Override
    public Integer call() throws IOException {
      VerifyReport report;
      List<String> problems;
      try (LocalCheckpoint files = options.open(checkpoint)) {
        report = CheckpointDirectory.verify(files.directory());
        problems = new ArrayList<>(report.problems());
        if (!report.hasManifest() && !withoutManifest) {
          problems.add(
              "%s has no %s, so no digest can be checked; --without-manifest checks the rest"
                  .formatted(checkpoint, CheckpointManifest.FILE_NAME));
        }
        tokenizerProblem(files.directory())
            .filter(problem -> !problems.contains(problem))
            .ifPresent(problems::add);
      }
      if (!problems.isEmpty()) {
        problems.forEach(problem -> System.err.println("millrace: " + Printable.line(problem)));
        return CommandLine.ExitCode.USAGE;
      }
      System.out.printf(
          "%s is sound: %d files, %d parameters%s%n",
          checkpoint,
          report.files(),
          report.parameters(),
          report.hasManifest() ? "" : " (no digests to check: it has no millrace.json)");
      return 0;
    }

    /** What is wrong with the tokenizer, which every job reads with the model. */
    private static Optional<String> tokenizerProblem(Path directory) {
      try (Tokenizer tokenizer = Tokenizer.load(directory)) {
        tokenizer.requireFits(CheckpointOutline.read(directory).config().vocabSize());
        if (tokenizer.chatTemplateSource().isPresent()) {
          ChatTemplate.of(tokenizer);
        }
        return Optional.empty();
      } catch (TokenizerException | CheckpointException e) {
        return Optional.of(e.getMessage());
      }
    }
  }

  @Command(
      name = "export",
      mixinStandardHelpOptions = true,
      description = "Writes a checkpoint as a Hugging Face directory, in bfloat16 or float32.",
      footer = {
        "",
        "Examples:",
        "  millrace checkpoint export DIR --out policy-bf16",
        "  millrace checkpoint export DIR --out policy-f32 --dtype float32 --max-shard-size 500MB",
        "  millrace checkpoint export ADAPTER --merge --out policy-merged",
      })
  static final class Export implements Callable<Integer> {

    private static final Pattern SIZE = Pattern.compile("(\\d{1,12}) ?(B|[KMGT]i?B)?");

    @Parameters(
        paramLabel = "DIR",
        description = "Checkpoint directory or URI, also one of another project.")
    private String checkpoint;

    @Mixin private ConfigOptions options;

    @Option(
        names = "--out",
        required = true,
        paramLabel = "DIR",
        description = "Directory to write; it must be empty or not exist.")
    private Path out;

    @Option(
        names = "--dtype",
        defaultValue = "bfloat16",
        description =
            "Type of the weights: bfloat16, rounded to nearest even, or float32"
                + " (default: ${DEFAULT-VALUE}).")
    private String dtype;

    @Option(
        names = "--max-shard-size",
        defaultValue = "5GB",
        paramLabel = "SIZE",
        description =
            "Largest weights file; more weights go to further files (default: ${DEFAULT-VALUE}).")
    private String maxShardSize;

    @Option(
        names = "--merge",
        description = "Add the adapter to the weights of its base; needed to export an adapter.")
    private boolean merge;

    @Option(
        names = "--base",
        paramLabel = "DIR",
        description =
            "With --merge: directory or URI of the adapter's base, if it is not where it was.")
    private Optional<String> base;

    @Override
    public Integer call() throws IOException {
      DType type =
          switch (dtype) {
            case "bfloat16" -> DType.BF16;
            case "float32" -> DType.F32;
            default ->
                throw new UserException(
                    "--dtype must be bfloat16 or float32, not '%s'".formatted(dtype));
          };
      long maxBytes = bytes(maxShardSize);
      if (base.isPresent() && !merge) {
        throw new UserException("--base is for --merge; add --merge, or leave out --base");
      }
      try (LocalCheckpoint files = options.open(checkpoint);
          CheckpointDirectory directory = CheckpointDirectory.open(files.directory());
          Tokenizer tokenizer = Tokenizer.load(files.directory())) {
        if (merge) {
          merge(directory, tokenizer, type, maxBytes);
        } else if (directory.adapter().isPresent()) {
          throw new UserException(
              "%s holds an adapter; add --merge, or use the directory as it is with PEFT or vLLM"
                  .formatted(checkpoint));
        } else {
          directory.export(out, tokenizer::save, type, maxBytes);
        }
      }
      System.out.printf("wrote %s in %s%n", out, dtype);
      return 0;
    }

    private void merge(CheckpointDirectory adapter, Tokenizer tokenizer, DType type, long maxBytes)
        throws IOException {
      CheckpointAdapter merged =
          adapter
              .adapter()
              .orElseThrow(
                  () ->
                      new UserException(
                          "--merge needs an adapter, but %s holds all weights"
                              .formatted(checkpoint)));
      String below = base.orElseGet(merged::base);
      try (LocalCheckpoint files = options.open(below);
          CheckpointDirectory whole = CheckpointDirectory.open(files.directory())) {
        adapter.exportMerged(out, whole, tokenizer::save, type, maxBytes);
      } catch (NoSuchFileException _) {
        throw new UserException(
            "the base %s of %s does not exist; name it with --base".formatted(below, checkpoint));
      }
    }

    /** Reads a size like the Python library transformers: GB is a power of ten, GiB of two. */
    private static long bytes(String size) {
      Matcher matcher = SIZE.matcher(size.strip());
      if (matcher.matches()) {
        String unit = matcher.group(2) == null ? "B" : matcher.group(2);
        long base = unit.contains("i") ? 1024 : 1000;
        long count = Long.parseLong(matcher.group(1));
        for (int i = "BKMGT".indexOf(unit.charAt(0)); i > 0; i--) {
          count = count > Long.MAX_VALUE / base ? Long.MAX_VALUE : count * base;
        }
        if (count > 0) {
          return count;
        }
      }
      throw new UserException(
          "--max-shard-size must be a size above 0, such as 5GB or 500MB, not '%s'"
              .formatted(size));
    }
  }
}

package io.millrace.cli.model;

import io.millrace.cli.option.UserException;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.ModelSection;
import io.millrace.jobs.models.InitialModel;
import io.millrace.model.chat.Message;
import io.millrace.model.tokenizer.training.ByteLevelBpeTrainer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code millrace init}. */
@Command(
    name = "init",
    mixinStandardHelpOptions = true,
    description =
        "Makes a model from nothing: trains a tokenizer on texts, draws random weights. The sizes"
            + " are those of the configuration's section model.",
    footer = {
      "",
      "Example:",
      "  millrace init --texts texts.jsonl --out new --set model.vocab-size=512",
    })
public final class InitCommand implements Callable<Integer> {

  @Option(
      names = "--texts",
      required = true,
      description = "JSON Lines in any form that supervised.file takes.")
  private Path texts;

  @Option(names = "--out", required = true, description = "Directory to make.")
  private Path out;

  @Option(names = "--config", description = "YAML file (docs/configuration.md has every option).")
  private Path config;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Sets an option on top of the file, such as model.layers=4; may be repeated.")
  private List<String> settings = new ArrayList<>();

  @Override
  public Integer call() throws Exception {
    if (!Files.isReadable(texts)) {
      throw new UserException("--texts " + texts + " cannot be read");
    }
    if (Files.exists(out)) {
      throw new UserException("--out " + out + " is there already");
    }
    ModelSection model = ConfigLoader.load(Optional.ofNullable(config), settings).model();
    List<String> corpus =
        LineFiles.dialogues(texts).stream()
            .flatMap(List::stream)
            .map(InitCommand::asTheModelMeetsIt)
            .toList();
    InitialModel.create(
        model, ByteLevelBpeTrainer.train(corpus, model.vocabSize()), out.toAbsolutePath());
    System.out.println("a new model in " + out);
    return 0;
  }

  /** With what the chat template puts around it. */
  private static String asTheModelMeetsIt(Message message) {
    return switch (message.role()) {
      case SYSTEM -> "<<SYS>>\n" + message.content() + "\n<</SYS>>\n\n";
      case USER -> "[INST] " + message.content() + " [/INST]";
      case ASSISTANT -> " " + message.content() + " ";
    };
  }
}

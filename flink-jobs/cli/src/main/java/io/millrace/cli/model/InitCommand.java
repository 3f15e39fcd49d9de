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
        "Makes a new model: trains a tokenizer on texts and draws random weights. The configuration"
            + " section model sets the sizes.",
    footer = {
      "",
      "Example:",
      "  millrace init --texts texts.jsonl --out new --set model.vocab-size=512",
    })
public final class InitCommand implements Callable<Integer> {

  @Option(
      names = "--texts",
      required = true,
      description = "JSON Lines file in any format of supervised.file.")
  private Path texts;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "Checkpoint directory to make; it must not exist.")
  private Path out;

  @Option(
      names = "--config",
      description = "YAML file with options (docs/configuration.md lists all).")
  private Path config;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Overrides an option of the file, such as model.layers=4; may be repeated.")
  private List<String> settings = new ArrayList<>();

  @Override
  public Integer call() throws Exception {
    if (!Files.isReadable(texts)) {
      throw new UserException("--texts cannot be read: %s; correct the path".formatted(texts));
    }
    if (Files.exists(out)) {
      throw new UserException("--out must not exist: %s; choose another directory".formatted(out));
    }
    ModelSection model = ConfigLoader.load(Optional.ofNullable(config), settings).model();
    List<String> corpus =
        LineFiles.dialogues(texts).stream()
            .flatMap(List::stream)
            .map(InitCommand::inTemplate)
            .toList();
    InitialModel.create(
        model, ByteLevelBpeTrainer.train(corpus, model.vocabSize()), out.toAbsolutePath());
    System.out.println("wrote a new model to " + out);
    return 0;
  }

  /** The text with the tokens of the chat template around it. */
  private static String inTemplate(Message message) {
    return switch (message.role()) {
      case SYSTEM -> "<<SYS>>\n" + message.content() + "\n<</SYS>>\n\n";
      case USER -> "[INST] " + message.content() + " [/INST]";
      case ASSISTANT -> " " + message.content() + " ";
    };
  }
}

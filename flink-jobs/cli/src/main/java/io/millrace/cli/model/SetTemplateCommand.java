package io.millrace.cli.model;

import io.millrace.cli.option.UserException;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.TemplateForm;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.TokenizerFiles;
import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code millrace checkpoint set-template}. */
@Command(
    name = "set-template",
    mixinStandardHelpOptions = true,
    description = {
      "Sets the chat template of a model directory, for example of a base model, which has none.",
      "The template is checked first. A published checkpoint is not changed: export it before."
    },
    footer = {
      "",
      "Examples:",
      "  millrace checkpoint set-template /models/my-llama --form llama2",
      "  millrace checkpoint set-template /models/my-llama --form template.jinja",
    })
final class SetTemplateCommand implements Callable<Integer> {
  private static final int MOST_BYTES = 1 << 18;

  @Parameters(paramLabel = "DIR", description = "Model directory on this machine.")
  private Path directory;

  @Option(
      names = "--form",
      required = true,
      paramLabel = "FORM",
      description =
          "llama2, chatml, llama3, or a file with a Jinja template in one of these forms.")
  private String form;

  @Override
  public Integer call() throws IOException {
    CheckpointOutline outline = CheckpointOutline.read(directory);
    if (outline.manifest().isPresent()) {
      throw new UserException(
          "%s is a published checkpoint, whose %s has a digest of every file; make a copy with"
                  .formatted(directory, CheckpointManifest.FILE_NAME)
              + " millrace checkpoint export, and set its template");
    }
    TokenizerFiles files = TokenizerFiles.read(directory).withChatTemplate(source());
    String title;
    try (Tokenizer tokenizer = new Tokenizer(files)) {
      tokenizer.requireFits(outline.config().vocabSize());
      title = ChatTemplate.of(tokenizer).title();
    }
    files.write(directory);
    System.out.printf("%s has a chat template in the form of %s%n", directory, title);
    return 0;
  }

  private String source() throws IOException {
    for (TemplateForm known : TemplateForm.values()) {
      if (known.name().toLowerCase(Locale.ROOT).equals(form.toLowerCase(Locale.ROOT))) {
        return known.source();
      }
    }
    Path file = Path.of(form);
    if (!Files.isRegularFile(file) || Files.size(file) > MOST_BYTES) {
      throw new UserException(
          "--form must be llama2, chatml, llama3 or a file of at most %d bytes, not '%s'"
              .formatted(MOST_BYTES, form));
    }
    return PlainFiles.readText(file, MOST_BYTES);
  }
}

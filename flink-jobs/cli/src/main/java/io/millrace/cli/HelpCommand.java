package io.millrace.cli;

import io.millrace.cli.option.UserException;
import io.millrace.schemas.Nearest;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code millrace help}, for commands below commands too; picocli's own knows one level. */
@Command(
    name = "help",
    description = "Prints the help of a command, such as help deadletters resend.")
final class HelpCommand implements Callable<Integer> {

  @Parameters(
      paramLabel = "COMMAND",
      arity = "0..*",
      description = "Words of the command (default: all commands).")
  private List<String> words = new ArrayList<>();

  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    CommandLine found = spec.parent().commandLine();
    for (String word : words) {
      CommandLine next = found.getSubcommands().get(word);
      if (next == null) {
        throw new UserException(
            "%s has no command '%s'%s"
                .formatted(
                    found.getCommandSpec().qualifiedName(),
                    word,
                    Nearest.to(word, List.copyOf(found.getSubcommands().keySet()))
                        .map(near -> "; did you mean " + near + "?")
                        .orElse("")));
      }
      found = next;
    }
    found.usage(spec.commandLine().getOut());
    return 0;
  }
}

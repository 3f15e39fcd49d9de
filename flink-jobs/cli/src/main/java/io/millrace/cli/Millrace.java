package io.millrace.cli;

import io.millrace.cli.annotators.AnnotatorsCommand;
import io.millrace.cli.bench.BenchCommand;
import io.millrace.cli.chat.ChatCommand;
import io.millrace.cli.deadletters.DeadLettersCommand;
import io.millrace.cli.erase.EraseCommand;
import io.millrace.cli.erase.LineageCommand;
import io.millrace.cli.job.CampaignCommand;
import io.millrace.cli.job.CancelCommand;
import io.millrace.cli.job.CheckCommand;
import io.millrace.cli.job.ClusterCommand;
import io.millrace.cli.job.DoctorCommand;
import io.millrace.cli.job.EvaluationCommand;
import io.millrace.cli.job.QuickstartCommand;
import io.millrace.cli.job.ReportCommand;
import io.millrace.cli.job.RunCommand;
import io.millrace.cli.job.SavepointCommand;
import io.millrace.cli.job.StatusCommand;
import io.millrace.cli.job.StopCommand;
import io.millrace.cli.job.SubmitCommand;
import io.millrace.cli.job.UpgradeCommand;
import io.millrace.cli.model.CheckpointCommand;
import io.millrace.cli.model.GenerateCommand;
import io.millrace.cli.model.GhostAttentionCommand;
import io.millrace.cli.model.InitCommand;
import io.millrace.cli.model.LogProbsCommand;
import io.millrace.cli.option.UserException;
import io.millrace.cli.plan.PlanCommand;
import io.millrace.cli.promotion.PromoteCommand;
import io.millrace.cli.promotion.RollbackCommand;
import io.millrace.cli.serve.ConsoleCommand;
import io.millrace.cli.serve.NotifyCommand;
import io.millrace.cli.serve.ServeCommand;
import io.millrace.cli.topic.BrokerCommand;
import io.millrace.cli.topic.ConsumeCommand;
import io.millrace.cli.topic.ExportCommand;
import io.millrace.cli.topic.ImportCommand;
import io.millrace.cli.topic.ProduceCommand;
import io.millrace.cli.topic.SchemasCommand;
import io.millrace.cli.topic.TopicsCommand;
import io.millrace.jobs.config.ConfigException;
import io.millrace.model.checkpoint.CheckpointException;
import io.millrace.model.tokenizer.TokenizerException;
import io.millrace.schemas.Printable;
import io.millrace.schemas.PrintableStream;
import io.millrace.schemas.UnusableRecordException;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** {@code millrace}: all commands, and how their errors are printed. */
@Command(
    name = "millrace",
    description = "Online RLHF on Kafka and Flink: the recipe of Llama 2-Chat, run continuously.",
    synopsisSubcommandLabel = "COMMAND",
    mixinStandardHelpOptions = true,
    version = "Millrace 0.1.0",
    subcommands = {
      QuickstartCommand.class,
      CampaignCommand.class,
      ReportCommand.class,
      BrokerCommand.class,
      TopicsCommand.class,
      ProduceCommand.class,
      ConsumeCommand.class,
      ImportCommand.class,
      ExportCommand.class,
      DeadLettersCommand.class,
      AnnotatorsCommand.class,
      SchemasCommand.class,
      RunCommand.class,
      ClusterCommand.class,
      CheckCommand.class,
      SubmitCommand.class,
      UpgradeCommand.class,
      StatusCommand.class,
      SavepointCommand.class,
      StopCommand.class,
      CancelCommand.class,
      PromoteCommand.class,
      RollbackCommand.class,
      LineageCommand.class,
      EraseCommand.class,
      InitCommand.class,
      GhostAttentionCommand.class,
      EvaluationCommand.class,
      GenerateCommand.class,
      ChatCommand.class,
      ServeCommand.class,
      NotifyCommand.class,
      ConsoleCommand.class,
      LogProbsCommand.class,
      CheckpointCommand.class,
      PlanCommand.class,
      BenchCommand.class,
      DoctorCommand.class,
      VersionCommand.class,
      HelpCommand.class
    })
public final class Millrace {

  /** Exit code after an error of the user; the message says what to change. */
  public static final int USAGE = 2;

  /** Exit code after any other error; the log has the stack trace. */
  private static final int INTERNAL = 1;

  private static final String MORE_MEMORY =
      "; raise MILLRACE_HEAP, such as MILLRACE_HEAP=8g, or lower the sizes";

  private Millrace() {}

  /** Runs a command and exits with its code. */
  public static void main(String[] args) {
    // For the help, which has colours, and for a chat, which draws a line again and again.
    PrintWriter terminal = new PrintWriter(System.out, true, StandardCharsets.UTF_8);
    escapeOutput();
    System.exit(commandLine().setOut(terminal).execute(args));
  }

  /**
   * Escapes control characters in all that commands print from now on: records, answers of servers,
   * names of files and messages about them come from outside.
   */
  static void escapeOutput() {
    System.setOut(PrintableStream.of(System.out));
    System.setErr(PrintableStream.of(System.err));
  }

  /** The commands, each of which can be run in this process. */
  public static CommandLine commandLine() {
    return new CommandLine(new Millrace())
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setUsageHelpWidth(100)
        .registerConverter(Path.class, Millrace::path)
        // A prompt may begin with @; it is no file of arguments.
        .setExpandAtFiles(false)
        .setParameterExceptionHandler(Millrace::badUsage)
        .setExecutionStrategy(Millrace::execute)
        .setExecutionExceptionHandler(Millrace::failed);
  }

  /** A path; an empty one would be the current directory. */
  private static Path path(String text) {
    if (text.isBlank()) {
      throw new CommandLine.TypeConversionException("the path is empty; name a file or directory");
    }
    try {
      return Path.of(text);
    } catch (InvalidPathException e) {
      throw new CommandLine.TypeConversionException("no path: " + e.getMessage());
    }
  }

  /** Picocli passes exceptions to {@link #failed}, but no errors. */
  private static int execute(CommandLine.ParseResult result) {
    try {
      return new CommandLine.RunLast().execute(result);
    } catch (OutOfMemoryError e) {
      LoggerFactory.getLogger(Millrace.class).error("command failed", e);
      print(result.commandSpec().commandLine(), "failed: " + rootCause(e) + MORE_MEMORY);
      return INTERNAL;
    }
  }

  private static int badUsage(ParameterException e, String[] args) {
    CommandLine command = e.getCommandLine();
    String hint =
        e instanceof UnmatchedArgumentException unmatched
            ? unmatched.getSuggestions().stream()
                .findFirst()
                .map(near -> "; did you mean " + near + "?")
                .orElse("")
            : "";
    print(
        command,
        oneLine(e) + hint + " (see " + command.getCommandSpec().qualifiedName() + " --help)");
    return USAGE;
  }

  private static int failed(Exception e, CommandLine command, CommandLine.ParseResult result) {
    LoggerFactory.getLogger(Millrace.class).debug("command failed", e);
    if (e instanceof ConfigException config) {
      config.problems().forEach(problem -> print(command, problem));
      return USAGE;
    }
    if (isUsers(e)) {
      print(command, oneLine(e));
      return USAGE;
    }
    LoggerFactory.getLogger(Millrace.class).error("command failed", e);
    print(command, "failed: " + rootCause(e) + (isOutOfMemory(e) ? MORE_MEMORY : ""));
    return INTERNAL;
  }

  /** Whether the user can mend the cause: an argument, a file, or a service. */
  private static boolean isUsers(Exception e) {
    return e instanceof UserException
        || e instanceof IOException
        || e instanceof UncheckedIOException
        || e instanceof IllegalArgumentException
        || e instanceof CheckpointException
        || e instanceof TokenizerException
        || e instanceof UnusableRecordException;
  }

  private static boolean isOutOfMemory(Throwable e) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof OutOfMemoryError) {
        return true;
      }
    }
    return false;
  }

  private static String rootCause(Throwable e) {
    Throwable cause = e;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    return cause.getClass().getSimpleName() + ": " + oneLine(cause);
  }

  private static String oneLine(Throwable e) {
    String message =
        switch (e) {
          // The messages of these exceptions are bare paths.
          case NoSuchFileException missing when missing.getReason() == null ->
              missing.getFile() + " does not exist; correct the path";
          case AccessDeniedException denied when denied.getReason() == null ->
              "no permission for " + denied.getFile() + "; change its permissions or the path";
          case FileAlreadyExistsException there when there.getReason() == null ->
              there.getFile() + " exists already; name a new file";
          case FileSystemException other when other.getReason() == null -> other.toString();
          case CharacterCodingException _ ->
              "the text is not UTF-8; convert it, for example with iconv";
          default -> e.getMessage() == null ? e.toString() : e.getMessage();
        };
    return message.lines().map(String::strip).reduce((a, b) -> a + " " + b).orElse("");
  }

  private static void print(CommandLine command, String message) {
    command.getErr().println("millrace: " + Printable.line(message));
    command.getErr().flush();
  }
}

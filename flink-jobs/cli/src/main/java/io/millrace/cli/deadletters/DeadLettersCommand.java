package io.millrace.cli.deadletters;

import picocli.CommandLine.Command;

/** {@code millrace deadletters}. */
@Command(
    name = "deadletters",
    mixinStandardHelpOptions = true,
    description = "Lists the records that jobs refused, shows one, or sends them again.",
    subcommands = {ListCommand.class, ShowCommand.class, ResendCommand.class},
    footer = {
      "",
      "Examples:",
      "  millrace deadletters list --topic prompts --since 2h",
      "  millrace deadletters show 0/17",
      "  millrace deadletters resend --topic prompts --reason too-long",
    })
public final class DeadLettersCommand {}

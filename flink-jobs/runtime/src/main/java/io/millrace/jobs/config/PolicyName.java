package io.millrace.jobs.config;

import io.millrace.schemas.Objective;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * The name under which a policy is published. It is a directory below {@code
 * checkpoints.directory}, beside the directories that jobs use for other content.
 *
 * @param text 1 to 128 letters, digits, '.', '_' and '-'
 */
public record PolicyName(String text) {

  private static final String PATTERN = "[A-Za-z0-9][A-Za-z0-9._-]{0,127}";

  /** New models, bags of rejection sampling, and the reward models. */
  private static final List<String> RESERVED =
      Stream.concat(
              Stream.of("initial", "bags"),
              Arrays.stream(Objective.values())
                  .map(objective -> "reward-model-" + objective.name().toLowerCase(Locale.ROOT))
                  .flatMap(name -> Stream.of(name, name + "-judge")))
          .toList();

  public PolicyName {
    if (!text.matches(PATTERN)) {
      throw new IllegalArgumentException(
          "a policy's name has 1 to 128 letters, digits, '.', '_' and '-' and begins with a letter or digit; '%s' does not fit"
              .formatted(text));
    }
    // Some file systems ignore case.
    if (RESERVED.contains(text.toLowerCase(Locale.ROOT))) {
      throw new IllegalArgumentException(
          "'%s' is reserved, like %s; choose another name"
              .formatted(text, String.join(", ", RESERVED)));
    }
  }
}

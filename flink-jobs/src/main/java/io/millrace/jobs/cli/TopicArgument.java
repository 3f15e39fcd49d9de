package io.millrace.jobs.cli;

import io.millrace.jobs.config.Suggestion;
import io.millrace.schemas.Topic;
import java.util.Arrays;

/** Topics as they are named on the command line. */
final class TopicArgument {

  private TopicArgument() {}

  static Topic parse(String name, String prefix) {
    return Topic.named(name, prefix)
        .orElseThrow(
            () ->
                new UserException(
                    "there is no topic '"
                        + name
                        + "'"
                        + Suggestion.nearest(
                                name, Arrays.stream(Topic.values()).map(Topic::shortName).toList())
                            .map(near -> "; did you mean " + near + "?")
                            .orElse("; there are " + Topic.names())));
  }
}

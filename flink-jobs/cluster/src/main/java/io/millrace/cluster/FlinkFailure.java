package io.millrace.cluster;

import java.net.ConnectException;
import java.util.List;
import java.util.Optional;

/** Reduces Flink's nested exceptions to one line. */
public final class FlinkFailure {

  private FlinkFailure() {}

  static String oneLine(Throwable failure) {
    Throwable cause = failure;
    while (cause.getCause() != null && !(cause instanceof ConnectException)) {
      cause = cause.getCause();
    }
    String message = cause.getMessage() == null ? cause.toString() : cause.getMessage();
    if (cause instanceof ConnectException) {
      return "nothing listens there; start the cluster with 'millrace cluster', or correct"
          + " --cluster or --rest";
    }
    return causes(message).orElse(message.lines().findFirst().orElse("").strip());
  }

  /** The last cause in a stack trace, in one line. */
  public static String rootCause(String stackTrace) {
    return causes(stackTrace).orElse(stackTrace.lines().findFirst().orElse("").strip());
  }

  /** A REST error holds the server's stack trace as text; its last cause says most. */
  private static Optional<String> causes(String message) {
    List<String> causes = message.lines().filter(line -> line.startsWith("Caused by: ")).toList();
    return causes.isEmpty()
        ? Optional.empty()
        : Optional.of(causes.getLast().substring("Caused by: ".length()).strip());
  }
}

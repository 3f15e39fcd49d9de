package io.millrace.cluster;

import java.net.ConnectException;
import java.util.List;
import java.util.Optional;

/** What one of Flink's nested failures comes down to. */
final class FlinkFailure {

  private FlinkFailure() {}

  static String oneLine(Throwable failure) {
    Throwable cause = failure;
    while (cause.getCause() != null && !(cause instanceof ConnectException)) {
      cause = cause.getCause();
    }
    String message = cause.getMessage() == null ? cause.toString() : cause.getMessage();
    if (cause instanceof ConnectException) {
      return "nothing listens there; is the cluster running? (millrace cluster)";
    }
    return causes(message).orElse(message.lines().findFirst().orElse("").strip());
  }

  /** A REST error brings the server's stack trace as text: its last cause says most. */
  private static Optional<String> causes(String message) {
    List<String> causes = message.lines().filter(line -> line.startsWith("Caused by: ")).toList();
    return causes.isEmpty()
        ? Optional.empty()
        : Optional.of(causes.getLast().substring("Caused by: ".length()).strip());
  }
}

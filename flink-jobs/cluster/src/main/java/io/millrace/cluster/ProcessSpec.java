package io.millrace.cluster;

import java.util.List;

/**
 * A process for the {@link Supervisor}.
 *
 * @param name name of its log and pid files
 * @param command the whole command line
 */
record ProcessSpec(String name, List<String> command) {
  ProcessSpec {
    command = List.copyOf(command);
  }
}

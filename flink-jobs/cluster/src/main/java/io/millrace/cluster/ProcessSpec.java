package io.millrace.cluster;

import java.util.List;

/**
 * A process to be kept running.
 *
 * @param name of its log and pid files
 * @param command the whole command line
 */
record ProcessSpec(String name, List<String> command) {
  ProcessSpec {
    command = List.copyOf(command);
  }
}

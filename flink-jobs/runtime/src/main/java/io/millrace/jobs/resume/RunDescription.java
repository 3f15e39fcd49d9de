package io.millrace.jobs.resume;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import java.util.Collections;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * How a run was started, as the file {@code run.json} holds it.
 *
 * @param started time of the start, as ISO 8601
 * @param bounded whether the run stops at the end of its topics
 * @param from the Flink checkpoint or savepoint that the run continued from; null for none
 * @param settings every option that the job reads, see {@link RunSettings}
 */
@JsonIgnoreProperties(ignoreUnknown = true)
record RunDescription(
    String started, boolean bounded, String from, SortedMap<String, String> settings) {

  RunDescription {
    settings =
        Collections.unmodifiableSortedMap(
            new TreeMap<>(settings == null ? Map.<String, String>of() : settings));
  }
}

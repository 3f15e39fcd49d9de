package io.millrace.console.annotate;

import java.time.Duration;

/**
 * How tasks are given out.
 *
 * @param lease how long a task stays with an annotator who does not answer
 * @param overlap how many annotators judge each task
 * @param source {@code source} of the records
 */
public record AnnotateSettings(Duration lease, int overlap, String source) {}

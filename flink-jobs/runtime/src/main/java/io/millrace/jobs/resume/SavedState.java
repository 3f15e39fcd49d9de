package io.millrace.jobs.resume;

/**
 * A complete Flink checkpoint or savepoint.
 *
 * @param path path or URI of its directory
 * @param id Flink's number of it; a higher one of the same run is later
 * @param isSavepoint a savepoint rather than a Flink checkpoint
 */
public record SavedState(String path, long id, boolean isSavepoint) {

  /** The kind and the place. */
  @Override
  public String toString() {
    return (isSavepoint ? "savepoint " : "Flink checkpoint ") + path;
  }
}

package io.millrace.connectors.checkpoint.store;

import java.util.Objects;

/**
 * Files of one checkpoint that are written but not yet visible.
 *
 * @param name the model, a directory of the store
 * @param version the checkpoint's version
 * @param stagedUri the directory that holds the files now
 * @param finalUri the directory that will hold them once they are visible
 * @param manifestSha256 SHA-256 of the staged millrace.json, in hexadecimal
 */
public record StagedFiles(
    String name, long version, String stagedUri, String finalUri, String manifestSha256) {
  public StagedFiles {
    Objects.requireNonNull(name, "name");
    Objects.requireNonNull(stagedUri, "stagedUri");
    Objects.requireNonNull(finalUri, "finalUri");
    Objects.requireNonNull(manifestSha256, "manifestSha256");
  }
}

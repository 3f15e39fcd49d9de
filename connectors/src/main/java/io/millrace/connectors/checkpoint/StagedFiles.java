package io.millrace.connectors.checkpoint;

/**
 * Files of one checkpoint that are written but not yet visible.
 *
 * @param name the model, a directory of the store
 * @param version the checkpoint's version
 * @param stagedUri where the files lie now
 * @param finalUri where they will lie
 * @param manifestSha256 SHA-256 of the staged millrace.json, in hexadecimal
 */
public record StagedFiles(
    String name, long version, String stagedUri, String finalUri, String manifestSha256) {}

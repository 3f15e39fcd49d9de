package io.millrace.jobs.models;

import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;

/**
 * The prompts that are never learned from: a share of all, by their ids alone, so that a prompt
 * that comes again, in whatever job, is held out again.
 *
 * @param share of the prompts, 0 to 1
 */
public record HeldOut(double share) {

  public boolean contains(String promptId) {
    CRC32 hash = new CRC32();
    hash.update(promptId.getBytes(StandardCharsets.UTF_8));
    return hash.getValue() < share * (1L << 32);
  }
}

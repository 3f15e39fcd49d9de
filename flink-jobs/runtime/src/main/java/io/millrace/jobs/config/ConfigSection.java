package io.millrace.jobs.config;

import java.io.Serializable;

/**
 * A top-level section of the configuration: a record whose components are {@link Option}s, nested
 * records, or maps. Its compact constructor builds the domain objects that it stands for, so that
 * what they refuse is reported with the key, where the job is submitted.
 */
public interface ConfigSection extends Serializable {

  /**
   * Checks what this section and others must agree on.
   *
   * @param config all sections, this one included
   * @throws IllegalArgumentException naming both keys
   */
  default void check(MillraceConfig config) {}
}

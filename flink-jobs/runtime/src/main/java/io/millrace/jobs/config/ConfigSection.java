package io.millrace.jobs.config;

import java.io.Serializable;

/**
 * A top-level section of the configuration: a record whose components are {@link Option}s, nested
 * records, or maps. Its compact constructor builds the domain objects that the options describe.
 * The loader reports what they refuse, with the key, before a job is submitted.
 */
public interface ConfigSection extends Serializable {

  /**
   * Checks this section against the others, once every section by itself is right.
   *
   * @param config all sections
   * @throws IllegalArgumentException with the full keys of both options
   * @throws ConfigException with several problems, each with the full key
   */
  default void check(MillraceConfig config) {}
}

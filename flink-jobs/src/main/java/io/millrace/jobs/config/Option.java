package io.millrace.jobs.config;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** What a configuration record's component means, and its default. */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
public @interface Option {

  /** The default as it would stand in YAML; lists are separated by commas. */
  String value();

  /** One sentence for people. */
  String help();
}

package io.millrace.jobs.config;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * The default, meaning and bounds of one configuration option, on a record's component. Bounds are
 * written as the value would be in YAML; for a list they hold for each element.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
public @interface Option {

  /** The default as it would stand in YAML; lists are separated by commas. */
  String value();

  /** One sentence for people. */
  String help();

  /** The lowest value allowed; empty: no such bound. */
  String min() default "";

  /** The highest value allowed; empty: no such bound. */
  String max() default "";

  /** Values must be greater than this; empty: no such bound. */
  String above() default "";

  /** Values must be less than this; empty: no such bound. */
  String below() default "";

  /** Whether the value must not be blank. */
  boolean required() default false;

  /**
   * Whether the value is a path or URI, which {@link MillraceConfig#withAbsolutePaths} resolves.
   */
  boolean path() default false;

  /** Earlier names of this option. A file that uses one gets an error with the new name. */
  String[] formerly() default {};
}

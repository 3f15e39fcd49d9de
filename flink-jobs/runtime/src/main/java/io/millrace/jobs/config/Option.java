package io.millrace.jobs.config;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * The default, help text and bounds of one configuration option, on a record component. A bound is
 * written like a value in YAML; on a list it applies to each element.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
public @interface Option {

  /** The default as in YAML; commas separate the elements of a list. */
  String value();

  /** The help text on the reference page. */
  String help();

  /** The lowest value allowed; empty: no such bound. */
  String min() default "";

  /** The highest value allowed; empty: no such bound. */
  String max() default "";

  /** Values must be greater than this; empty: no such bound. */
  String above() default "";

  /** Values must be less than this; empty: no such bound. */
  String below() default "";

  /** Whether a text must not be blank and a list must have an element. */
  boolean required() default false;

  /**
   * Whether the value is a path or URI. {@link MillraceConfig#withAbsolutePaths} makes relative
   * paths absolute.
   */
  boolean path() default false;

  /** Whether a {@link #path} must lie on this machine; no URI then. */
  boolean local() default false;

  /** Whether the state of a job belongs to this value: a job cannot continue with another. */
  boolean fixed() default false;

  /** Earlier names of this option. A file that uses one gets an error with the new name. */
  String[] formerly() default {};
}

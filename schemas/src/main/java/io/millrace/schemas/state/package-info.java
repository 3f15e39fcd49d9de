/**
 * State of jobs as Avro: every part is a Java record, written with its schema, so that Avro's rules
 * of schema resolution say which later version reads it.
 */
package io.millrace.schemas.state;

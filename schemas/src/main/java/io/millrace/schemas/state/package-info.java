/**
 * The format of a job's state: Java records, each with its Avro schema. A later build reads them by
 * Avro's rules of schema resolution.
 */
package io.millrace.schemas.state;

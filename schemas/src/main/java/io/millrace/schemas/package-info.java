/** The topics, their Avro records, and the rules for valid records. */
package io.millrace.schemas;

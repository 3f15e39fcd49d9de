/** Decoding and validation of records; a record that cannot be used becomes a dead letter. */
package io.millrace.connectors.flink.decode;

/**
 * Topics as Flink streams: reading with dead letters, removal of duplicates, exactly-once writing.
 */
package io.millrace.connectors.flink;

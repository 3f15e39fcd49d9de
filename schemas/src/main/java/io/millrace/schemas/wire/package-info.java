/** The external formats of records: those of values in topics, and JSON Lines for people. */
package io.millrace.schemas.wire;

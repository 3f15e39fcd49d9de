/** The external formats of records: single-object encoding for topics, JSON Lines for people. */
package io.millrace.schemas.wire;

/** Rows of files in JSON Lines, JSON, CSV and Parquet, compressed or not. */
package io.millrace.connectors.exchange.file;

/** Readers of public data sets. */
package io.millrace.connectors.importer;

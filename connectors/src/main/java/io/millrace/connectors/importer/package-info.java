/** Public data sets turned into records. */
package io.millrace.connectors.importer;

/** Lines of demonstration files. */
package io.millrace.connectors.importer;

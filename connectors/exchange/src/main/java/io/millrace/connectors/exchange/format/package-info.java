/** Formats of other tools, and the records that their rows become. */
package io.millrace.connectors.exchange.format;

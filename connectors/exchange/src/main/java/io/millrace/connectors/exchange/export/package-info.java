/** Export: files of a topic's records, for other tools. */
package io.millrace.connectors.exchange.export;

/** Import: records from files of other tools' formats. */
package io.millrace.connectors.exchange;

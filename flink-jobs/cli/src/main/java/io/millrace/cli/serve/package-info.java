/** {@code millrace serve} and its configuration. */
package io.millrace.cli.serve;

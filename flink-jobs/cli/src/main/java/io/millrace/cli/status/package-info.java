/** What {@code millrace status} collects and prints. */
package io.millrace.cli.status;

/** Commands for topics and records. */
package io.millrace.cli.topic;

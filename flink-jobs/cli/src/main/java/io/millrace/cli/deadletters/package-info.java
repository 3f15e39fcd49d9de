/** Commands that look at dead letters and send their records again. */
package io.millrace.cli.deadletters;

/** Ghost Attention on files and topics: its data, its measure and the page that shows it. */
package io.millrace.jobs.ghost;

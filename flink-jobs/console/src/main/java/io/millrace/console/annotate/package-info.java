/** Tasks for annotators: pairs of responses, leases, choices, and how they are stored. */
package io.millrace.console.annotate;

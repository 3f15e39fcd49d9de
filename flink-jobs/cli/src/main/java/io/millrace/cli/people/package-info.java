/** Comparisons by people: pairs of responses for them, and the result of their judgments. */
package io.millrace.cli.people;

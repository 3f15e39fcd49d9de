/** Harnesses for tests of operators and jobs. */
package io.millrace.jobs.testkit;

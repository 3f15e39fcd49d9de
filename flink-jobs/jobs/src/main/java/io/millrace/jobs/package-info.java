/** The jobs by name. */
package io.millrace.jobs;

/** Configuration: YAML bound to validated records, all problems reported at once. */
package io.millrace.jobs.config;

/** The configuration: sections, options with their bounds, and how a file becomes records. */
package io.millrace.jobs.config;

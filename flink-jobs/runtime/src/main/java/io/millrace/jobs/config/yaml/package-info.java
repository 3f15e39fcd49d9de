/** Configuration files as trees of texts. */
package io.millrace.jobs.config.yaml;

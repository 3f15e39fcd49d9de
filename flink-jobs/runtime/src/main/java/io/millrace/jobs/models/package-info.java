/** Models that jobs load, check and publish. */
package io.millrace.jobs.models;

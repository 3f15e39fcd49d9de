/** Commands that run jobs, clusters, campaigns and reports. */
package io.millrace.cli.job;

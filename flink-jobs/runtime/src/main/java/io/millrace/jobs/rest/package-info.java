/** Protection of Flink's REST interface. */
package io.millrace.jobs.rest;

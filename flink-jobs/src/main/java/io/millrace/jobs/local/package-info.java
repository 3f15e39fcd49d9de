/**
 * What runs jobs and the demo world in one process have in common: the quickstart and campaigns.
 */
package io.millrace.jobs.local;

/** Job supervised: fine-tuning on demonstrations. */
package io.millrace.jobs.supervised;

/** Job rejection-sampling: fine-tuning on the best of K responses. */
package io.millrace.jobs.rejection;

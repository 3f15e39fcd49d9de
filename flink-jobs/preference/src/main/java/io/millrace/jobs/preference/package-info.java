/** Job preference: a policy straight from judgments and feedback, without a reward model. */
package io.millrace.jobs.preference;

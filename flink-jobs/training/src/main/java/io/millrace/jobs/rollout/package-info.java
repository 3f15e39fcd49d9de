/** Job rollout: responses of the latest policy to prompts. */
package io.millrace.jobs.rollout;

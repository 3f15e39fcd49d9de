/** Other inference engines, over the OpenAI API with token ids and log-probs. */
package io.millrace.jobs.rollout.engine;

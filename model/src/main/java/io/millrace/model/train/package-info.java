/** The optimizer and the trainers: supervised, reward model, PPO. */
package io.millrace.model.train;

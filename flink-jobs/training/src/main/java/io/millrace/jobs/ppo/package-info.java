/** Job ppo: scores rollouts and trains the policy on them. */
package io.millrace.jobs.ppo;

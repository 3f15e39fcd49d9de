/** The demo world: tasks, answers, simulated annotators, and the gold reward. */
package io.millrace.world;

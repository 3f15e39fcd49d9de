/** The demo world: tasks, answers, simulated annotators and a known gold reward. */
package io.millrace.world;

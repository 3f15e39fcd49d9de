/** What the trainers share: optimizer, learning rate schedules, micro-batches, state streams. */
package io.millrace.model.training;

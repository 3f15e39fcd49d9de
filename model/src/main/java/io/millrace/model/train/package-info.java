/** Training: learning-rate schedules and the trainers. */
package io.millrace.model.train;

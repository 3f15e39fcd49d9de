/** The recipe's small pure pieces: plain arithmetic on numbers, no tensors. */
package io.millrace.model.rlhf;

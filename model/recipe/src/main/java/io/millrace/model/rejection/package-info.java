/** Rejection sampling: the best of K responses, and the bag of them (Llama 2, section 3.2.3). */
package io.millrace.model.rejection;

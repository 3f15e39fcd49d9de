/** Reward models: losses, metrics, batches and trainer (Llama 2, section 3.2.2). */
package io.millrace.model.reward;

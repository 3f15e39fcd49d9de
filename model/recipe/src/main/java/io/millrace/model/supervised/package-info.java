/** Supervised fine-tuning and Ghost Attention (Llama 2, sections 3.1 and 3.3). */
package io.millrace.model.supervised;

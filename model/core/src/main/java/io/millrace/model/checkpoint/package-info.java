/** Model checkpoints on disk: safetensors files, Hugging Face directories, manifests. */
package io.millrace.model.checkpoint;

package io.millrace.serve.sampling;

import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.tensor.Backend;
import java.io.IOException;

/** Loads the weights of a policy. */
@FunctionalInterface
public interface ModelLoader {

  /** The model of a checkpoint, not to be trained. The caller closes it. */
  LanguageModel load(Backend backend, CheckpointDirectory checkpoint) throws IOException;
}

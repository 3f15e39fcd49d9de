package io.millrace.model.contract;

import io.millrace.model.tensor.Backend;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/**
 * What every {@link Backend} must pass: each kernel, forward and backward, against {@link
 * Reference} over odd shapes, on whole tensors and on slices. A backend's test extends it and says
 * how one is made.
 */
public abstract class BackendContract
    implements MemoryContract,
        RowsContract,
        AttentionContract,
        CachedAttentionContract,
        SamplingContract,
        HeadContract,
        AdamWContract,
        RefusalContract,
        StabilityContract {

  private Backend backend;

  protected abstract Backend newBackend();

  @BeforeEach
  void open() {
    backend = newBackend();
  }

  @AfterEach
  void close() {
    backend.close();
  }

  @Override
  public Backend backend() {
    return backend;
  }
}

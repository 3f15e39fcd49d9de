package io.millrace.model.contract;

import io.millrace.model.tensor.Backend;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/**
 * The tests that every {@link Backend} must pass. Each kernel is compared with {@link Reference},
 * forward and backward, over odd shapes, on whole tensors and on slices. A backend's test extends
 * this class and implements {@link #newBackend}.
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

  /** A new backend. Each test opens one and closes it. */
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

package io.millrace.model.tokenizer;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Supplier;

/**
 * A tokenizer of Hugging Face's native library. Several threads may encode and decode at once. A
 * lock prevents use after the native memory is freed.
 */
final class NativeTokenizer implements AutoCloseable {
  static {
    // Otherwise the library would report its use to its makers and download a build for the GPU.
    setUnlessSet("ai.djl.offline", "true");
    setUnlessSet("OPT_OUT_TRACKING", "true");
    setUnlessSet("RUST_FLAVOR", "cpu");
  }

  private static final Map<String, String> OPTIONS =
      Map.of(
          "addSpecialTokens", "false",
          "truncation", "DO_NOT_TRUNCATE",
          "padding", "DO_NOT_PAD",
          "modelMaxLength", String.valueOf(Integer.MAX_VALUE));

  private final ReadWriteLock lock = new ReentrantReadWriteLock();
  private final HuggingFaceTokenizer tokenizer;
  private boolean closed;

  /**
   * Loads a tokenizer.
   *
   * @param where the file that the JSON comes from, for error messages
   * @param json a {@code tokenizer.json}
   * @throws TokenizerException if the library cannot load it
   */
  NativeTokenizer(String where, String json) {
    try {
      tokenizer =
          HuggingFaceTokenizer.newInstance(
              new ByteArrayInputStream(json.getBytes(StandardCharsets.UTF_8)), OPTIONS);
    } catch (IOException | RuntimeException e) {
      throw new TokenizerException(
          where, "the tokenizers library refuses it: " + e.getMessage(), e);
    }
  }

  private static void setUnlessSet(String property, String value) {
    if (System.getProperty(property) == null) {
      System.setProperty(property, value);
    }
  }

  int[] encode(String text) {
    long[] ids = locked(() -> tokenizer.encode(text, false, false).getIds());
    int[] tokens = new int[ids.length];
    for (int i = 0; i < ids.length; i++) {
      tokens[i] = Math.toIntExact(ids[i]);
    }
    return tokens;
  }

  String decode(long[] tokens) {
    return locked(() -> tokenizer.decode(tokens, false));
  }

  private <T> T locked(Supplier<T> use) {
    lock.readLock().lock();
    try {
      if (closed) {
        throw new IllegalStateException("the tokenizer is closed");
      }
      return use.get();
    } finally {
      lock.readLock().unlock();
    }
  }

  @Override
  public void close() {
    lock.writeLock().lock();
    try {
      if (!closed) {
        closed = true;
        tokenizer.close();
      }
    } finally {
      lock.writeLock().unlock();
    }
  }
}

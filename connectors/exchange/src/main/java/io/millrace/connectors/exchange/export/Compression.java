package io.millrace.connectors.exchange.export;

import com.github.luben.zstd.ZstdOutputStreamNoFinalizer;
import java.io.IOException;
import java.io.OutputStream;
import java.util.zip.GZIPOutputStream;

/** Compression of an exported file. */
public enum Compression {
  NONE,
  GZIP,
  ZSTD;

  /** A stream that compresses what is written to another. */
  public OutputStream to(OutputStream out) throws IOException {
    return switch (this) {
      case NONE -> out;
      case GZIP -> new GZIPOutputStream(out, 1 << 16);
      case ZSTD -> new ZstdOutputStreamNoFinalizer(out);
    };
  }
}

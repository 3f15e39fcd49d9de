package io.millrace.connectors.flink.source;

import io.millrace.schemas.PlainFiles;
import io.millrace.schemas.wire.TextLines;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;

/**
 * A file of lines that is read in one or more passes. The first pass keeps the file's order; each
 * further pass has its own order, which follows from the seed. The position in all passes is one
 * number in Flink state. Every task manager must see the file under the same path.
 */
public final class DemonstrationFile implements Serializable {
  private static final long serialVersionUID = 1L;

  private final String path;
  private final long bytes;
  private final int lines;
  private final int passes;
  private final long seed;

  private DemonstrationFile(String path, long bytes, int lines, int passes, long seed) {
    this.path = path;
    this.bytes = bytes;
    this.lines = lines;
    this.passes = passes;
    this.seed = seed;
  }

  /**
   * Opens a file and counts its lines that are not blank.
   *
   * @throws IOException when the file cannot be read, or all lines are blank
   */
  public static DemonstrationFile open(Path path, int passes, long seed) throws IOException {
    LineIndex index = LineIndex.of(path);
    if (index.count() == 0) {
      throw new IOException(path + " has only blank lines; write one demonstration a line");
    }
    return new DemonstrationFile(
        path.toAbsolutePath().toString(), Files.size(path), index.count(), passes, seed);
  }

  /** The number of lines of one pass. */
  public int lines() {
    return lines;
  }

  /** The file's name without its directory. */
  public String name() {
    return Path.of(path).getFileName().toString();
  }

  /** The lines of all passes. A line's offset is its number, its partition is the pass. */
  public DataGeneratorSource<Received> source() {
    return new DataGeneratorSource<>(
        new Lines(this),
        Math.multiplyExact((long) lines, passes),
        TypeInformation.of(Received.class));
  }

  /**
   * The lines of a file that are not blank.
   *
   * @param starts the byte at which each line begins
   * @param lengths bytes of each line
   * @param numbers the number of each line in the file, from 1
   */
  private record LineIndex(long[] starts, int[] lengths, int[] numbers) {

    int count() {
      return starts.length;
    }

    static LineIndex of(Path path) throws IOException {
      long[] starts = new long[1024];
      int[] lengths = new int[1024];
      int[] numbers = new int[1024];
      int count = 0;
      int number = 0;
      long at = 0;
      try (InputStream in = new BufferedInputStream(PlainFiles.open(path), 1 << 16)) {
        int next = in.read();
        while (next >= 0) {
          number++;
          long start = at;
          boolean blank = true;
          while (next >= 0 && next != '\n') {
            blank &= next <= ' ';
            at++;
            next = in.read();
          }
          if (!blank) {
            if (count == starts.length) {
              starts = Arrays.copyOf(starts, 2 * count);
              lengths = Arrays.copyOf(lengths, 2 * count);
              numbers = Arrays.copyOf(numbers, 2 * count);
            }
            starts[count] = start;
            // The beginning of a line that is too long shows that it is.
            lengths[count] = (int) Math.min(at - start, TextLines.MAX_LINE_BYTES + 1L);
            numbers[count++] = number;
          }
          at++;
          next = next < 0 ? next : in.read();
        }
      }
      return new LineIndex(
          Arrays.copyOf(starts, count),
          Arrays.copyOf(lengths, count),
          Arrays.copyOf(numbers, count));
    }
  }

  private static final class Lines implements GeneratorFunction<Long, Received> {
    private static final long serialVersionUID = 1L;

    private final DemonstrationFile file;
    private transient RandomAccessFile opened;
    private transient LineIndex index;
    private transient int pass;
    private transient int[] order;

    Lines(DemonstrationFile file) {
      this.file = file;
    }

    @Override
    public void open(SourceReaderContext context) throws IOException {
      Path path = Path.of(file.path);
      index = LineIndex.of(path);
      if (index.count() != file.lines || Files.size(path) != file.bytes) {
        throw new IOException(
            "%s had %d lines and %d bytes when the job was submitted, and now has %d and %d; restore the file, or start the job without Flink state"
                .formatted(path, file.lines, file.bytes, index.count(), Files.size(path)));
      }
      opened = new RandomAccessFile(path.toFile(), "r");
      pass = -1;
    }

    @Override
    public Received map(Long position) throws IOException {
      int wanted = (int) (position / file.lines);
      if (wanted != pass) {
        pass = wanted;
        order = order(pass);
      }
      int line = order[(int) (position % file.lines)];
      byte[] bytes = new byte[index.lengths()[line]];
      opened.seek(index.starts()[line]);
      opened.readFully(bytes);
      return new Received(file.path, pass, index.numbers()[line], 0, null, bytes);
    }

    private int[] order(int which) {
      List<Integer> shuffled = IntStream.range(0, file.lines).boxed().collect(Collectors.toList());
      if (which > 0) {
        Collections.shuffle(shuffled, new Random(file.seed + which));
      }
      return shuffled.stream().mapToInt(Integer::intValue).toArray();
    }

    @Override
    public void close() throws Exception {
      if (opened != null) {
        opened.close();
      }
    }
  }
}

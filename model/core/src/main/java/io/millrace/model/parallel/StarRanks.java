package io.millrace.model.parallel;

import io.millrace.model.tensor.Tensor;
import java.io.DataOutput;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Ranks whose exchanges go through rank 0: it adds what comes from rank 1, then what comes from
 * rank 2, and so on, and sends the result. For a model of S bytes an update moves 2 · S bytes
 * between rank 0 and each other rank. Tensors go through the memory of the host, in chunks.
 */
public final class StarRanks implements Ranks {

  private static final int CHUNK = 1 << 16;
  private static final byte SUM = 'S';
  private static final byte SUM_DOUBLES = 'D';
  private static final byte GATHER = 'G';
  private static final byte COLLECT = 'C';
  private static final byte FIRST = 'F';
  private static final byte SAME = 'E';

  private final int rank;
  private final int size;

  /** On rank 0 to the ranks from 1 on; on any other rank to rank 0. */
  private List<Link> links = List.of();

  private final float[] mine = new float[CHUNK];
  private final float[] theirs = new float[CHUNK];
  private final byte[] bytes = new byte[CHUNK * Float.BYTES];
  private int number;
  private long nanos;

  /**
   * Ranks without connections, see {@link #connect}.
   *
   * @param size at least 2
   */
  public StarRanks(int rank, int size) {
    if (size < 2 || rank < 0 || rank >= size) {
      throw new IllegalArgumentException("rank %d of %d".formatted(rank, size));
    }
    this.rank = rank;
    this.size = size;
  }

  /**
   * Connected ranks in this process, over the loopback interface, for benchmarks and tests. Each is
   * for one thread. The caller closes them.
   */
  public static List<StarRanks> inThisProcess(int size, Duration patience)
      throws IOException, InterruptedException {
    List<StarRanks> ranks = new ArrayList<>();
    String host = InetAddress.getLoopbackAddress().getHostAddress();
    try (Rendezvous rendezvous = Rendezvous.open(host, host, size, patience, _ -> {})) {
      for (int rank = 0; rank < size; rank++) {
        ranks.add(new StarRanks(rank, size));
        if (rank > 0) {
          ranks
              .get(rank)
              .connect(List.of(Rendezvous.connect(rendezvous.address(), rank, size, patience)));
        }
      }
      ranks.getFirst().connect(rendezvous.await());
      return ranks;
    } catch (IOException | InterruptedException | RuntimeException e) {
      ranks.forEach(StarRanks::close);
      throw e;
    }
  }

  /**
   * Takes the connections, which are closed with the ranks.
   *
   * @param connections on rank 0 one for each other rank, in their order; else that to rank 0
   */
  public void connect(List<Link> connections) {
    int expected = rank == 0 ? size - 1 : 1;
    if (connections.size() != expected) {
      throw new IllegalArgumentException(
          "%d connections for rank %d of %d, not %d"
              .formatted(connections.size(), rank, size, expected));
    }
    links = List.copyOf(connections);
  }

  public boolean isConnected() {
    return !links.isEmpty();
  }

  /** The connections, see {@link #connect}. */
  public List<Link> links() {
    return links;
  }

  /** Lets the other ranks fail with the reason of this one, where they can be reached. */
  public void fail(String reason) {
    for (Link link : links) {
      try {
        link.fail(reason);
      } catch (IOException e) {
        // It failed before, or is gone.
      }
    }
  }

  @Override
  public int rank() {
    return rank;
  }

  @Override
  public int size() {
    return size;
  }

  private interface Exchange {
    void run() throws IOException;
  }

  private void timed(Exchange exchange) {
    if (links.isEmpty()) {
      throw new IllegalStateException("rank %d of %d is not connected".formatted(rank, size));
    }
    long start = System.nanoTime();
    number++;
    try {
      exchange.run();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      nanos += System.nanoTime() - start;
    }
  }

  private Link first() {
    return links.getFirst();
  }

  @Override
  public void sum(double[] values) {
    timed(
        () -> {
          if (rank > 0) {
            first().announce(SUM_DOUBLES, number, values.length);
            writeDoubles(first(), values);
            first().out().flush();
            readDoubles(first(), values);
            return;
          }
          double[] others = new double[values.length];
          for (Link link : links) {
            link.expect(SUM_DOUBLES, number, values.length);
            readDoubles(link, others);
            for (int i = 0; i < values.length; i++) {
              values[i] += others[i];
            }
          }
          for (Link link : links) {
            writeDoubles(link, values);
            link.out().flush();
          }
        });
  }

  private static void writeDoubles(Link link, double[] values) throws IOException {
    for (double value : values) {
      link.out().writeDouble(value);
    }
  }

  private static void readDoubles(Link link, double[] values) throws IOException {
    for (int i = 0; i < values.length; i++) {
      values[i] = link.in().readDouble();
    }
  }

  @Override
  public void sum(Tensor values) {
    timed(() -> sum(values, _ -> 0, _ -> values.size()));
  }

  @Override
  public void sum(Tensor values, long[] bounds) {
    timed(() -> sum(values, r -> bounds[r], r -> bounds[r + 1]));
  }

  private interface Bound {
    long of(int rank);
  }

  /** The elements [from, to) of the sum go to each rank. */
  private void sum(Tensor values, Bound from, Bound to) throws IOException {
    if (rank > 0) {
      first().announce(SUM, number, values.size());
      send(first(), values, 0, values.size());
      first().out().flush();
      receive(first(), values, from.of(rank), to.of(rank));
      return;
    }
    for (Link link : links) {
      link.expect(SUM, number, values.size());
    }
    for (long offset = 0; offset < values.size(); offset += CHUNK) {
      int length = (int) Math.min(CHUNK, values.size() - offset);
      values.read(offset, mine, 0, length);
      for (Link link : links) {
        readFloats(link, theirs, 0, length);
        for (int i = 0; i < length; i++) {
          mine[i] += theirs[i];
        }
      }
      values.write(offset, mine, 0, length);
    }
    for (int other = 1; other < size; other++) {
      Link link = links.get(other - 1);
      send(link, values, from.of(other), to.of(other));
      link.out().flush();
    }
  }

  @Override
  public void gather(float[] values, int[] bounds) {
    timed(
        () -> {
          int from = bounds[0];
          int to = bounds[size];
          if (rank > 0) {
            first().announce(GATHER, number, to - from);
            writeFloats(first(), values, bounds[rank], bounds[rank + 1] - bounds[rank]);
            first().out().flush();
            readFloats(first(), values, from, to - from);
            return;
          }
          for (int other = 1; other < size; other++) {
            Link link = links.get(other - 1);
            link.expect(GATHER, number, to - from);
            readFloats(link, values, bounds[other], bounds[other + 1] - bounds[other]);
          }
          for (Link link : links) {
            writeFloats(link, values, from, to - from);
            link.out().flush();
          }
        });
  }

  @Override
  public void gather(Tensor values, long[] bounds) {
    timed(
        () -> {
          if (rank > 0) {
            first().announce(GATHER, number, values.size());
            send(first(), values, bounds[rank], bounds[rank + 1]);
            first().out().flush();
            receive(first(), values, 0, bounds[rank]);
            receive(first(), values, bounds[rank + 1], values.size());
            return;
          }
          for (int other = 1; other < size; other++) {
            Link link = links.get(other - 1);
            link.expect(GATHER, number, values.size());
            receive(link, values, bounds[other], bounds[other + 1]);
          }
          for (int other = 1; other < size; other++) {
            Link link = links.get(other - 1);
            send(link, values, 0, bounds[other]);
            send(link, values, bounds[other + 1], values.size());
            link.out().flush();
          }
        });
  }

  @Override
  public void collect(Tensor part, long[] bounds, DataOutput out) throws IOException {
    try {
      timed(
          () -> {
            if (rank > 0) {
              first().announce(COLLECT, number, bounds[rank + 1] - bounds[rank]);
              send(first(), part, 0, bounds[rank + 1] - bounds[rank]);
              first().out().flush();
              return;
            }
            for (long offset = 0; offset < bounds[1]; offset += CHUNK) {
              int length = (int) Math.min(CHUNK, bounds[1] - offset);
              part.read(offset, mine, 0, length);
              write(out, mine, length);
            }
            for (int other = 1; other < size; other++) {
              long count = bounds[other + 1] - bounds[other];
              Link link = links.get(other - 1);
              link.expect(COLLECT, number, count);
              for (long offset = 0; offset < count; offset += CHUNK) {
                int length = (int) Math.min(CHUNK, count - offset);
                readFloats(link, theirs, 0, length);
                write(out, theirs, length);
              }
            }
          });
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private void write(DataOutput out, float[] values, int length) throws IOException {
    ByteBuffer.wrap(bytes).asFloatBuffer().put(values, 0, length);
    out.write(bytes, 0, Float.BYTES * length);
  }

  @Override
  public double ofFirst(double value) {
    double[] first = {value};
    timed(
        () -> {
          if (rank > 0) {
            first().expect(FIRST, number, 1);
            readDoubles(first(), first);
            return;
          }
          for (Link link : links) {
            link.announce(FIRST, number, 1);
            writeDoubles(link, first);
            link.out().flush();
          }
        });
    return first[0];
  }

  @Override
  public void requireSame(String what, long digest) {
    timed(
        () -> {
          if (rank > 0) {
            first().announce(SAME, number, 1);
            first().out().writeLong(digest);
            first().out().flush();
            return;
          }
          List<String> others = new ArrayList<>();
          for (Link link : links) {
            link.expect(SAME, number, 1);
            if (link.in().readLong() != digest) {
              others.add(link.peer());
            }
          }
          if (!others.isEmpty()) {
            throw new IllegalStateException(
                "%s differ between rank 0 and %s: run all ranks with the same build, on processors of the same kind"
                    .formatted(what, String.join(", ", others)));
          }
        });
  }

  private void send(Link link, Tensor values, long from, long to) throws IOException {
    for (long offset = from; offset < to; offset += CHUNK) {
      int length = (int) Math.min(CHUNK, to - offset);
      values.read(offset, mine, 0, length);
      writeFloats(link, mine, 0, length);
    }
  }

  private void receive(Link link, Tensor values, long from, long to) throws IOException {
    for (long offset = from; offset < to; offset += CHUNK) {
      int length = (int) Math.min(CHUNK, to - offset);
      readFloats(link, mine, 0, length);
      values.write(offset, mine, 0, length);
    }
  }

  /** At most {@link #CHUNK} at once go through the buffer. */
  private void writeFloats(Link link, float[] values, int from, int count) throws IOException {
    for (int done = 0; done < count; ) {
      int length = Math.min(CHUNK, count - done);
      buffer(length).asFloatBuffer().put(values, from + done, length);
      link.out().write(bytes, 0, Float.BYTES * length);
      done += length;
    }
  }

  private void readFloats(Link link, float[] values, int from, int count) throws IOException {
    for (int done = 0; done < count; ) {
      int length = Math.min(CHUNK, count - done);
      link.in().readFully(bytes, 0, Float.BYTES * length);
      buffer(length).asFloatBuffer().get(values, from + done, length);
      done += length;
    }
  }

  private ByteBuffer buffer(int floats) {
    return ByteBuffer.wrap(bytes, 0, Float.BYTES * floats).order(ByteOrder.LITTLE_ENDIAN);
  }

  @Override
  public long exchangeNanos() {
    return nanos;
  }

  @Override
  public long exchangedBytes() {
    return links.stream().mapToLong(Link::bytes).sum();
  }

  @Override
  public void close() {
    links.forEach(Link::close);
  }
}

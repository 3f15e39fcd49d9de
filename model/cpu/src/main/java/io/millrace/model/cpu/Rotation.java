package io.millrace.model.cpu;

import static io.millrace.model.cpu.tiles.Lanes.WIDTH;
import static io.millrace.model.cpu.tiles.Lanes.load;
import static io.millrace.model.cpu.tiles.Lanes.rest;
import static io.millrace.model.cpu.tiles.Lanes.store;

import io.millrace.model.tensor.Rope;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * Rotary position embedding, from tables of cosines and sines, {@code [positions, headDim / 2]}
 * each.
 */
final class Rotation implements AutoCloseable {

  private record Table(int positions, CpuTensor cosines, CpuTensor sines) {}

  private final int half;
  private final double[] frequencies;

  /**
   * All tables so far. The last one is used for new calls. Another thread can still use an earlier
   * one, which is at most half as large.
   */
  private final List<Table> tables = new ArrayList<>();

  Rotation(Rope rope) {
    this.half = rope.headDim() / 2;
    this.frequencies = rope.inverseFrequencies();
  }

  /** A table that covers a position. Its size is a power of two, so it rarely grows. */
  private synchronized Table covering(int position) {
    if (tables.isEmpty() || position >= tables.getLast().positions) {
      tables.add(table(Integer.highestOneBit(Math.max(64, position)) << 1));
    }
    return tables.getLast();
  }

  private Table table(int positions) {
    float[] cos = new float[positions * half];
    float[] sin = new float[positions * half];
    for (int p = 0; p < positions; p++) {
      for (int j = 0; j < half; j++) {
        double angle = p * frequencies[j];
        cos[p * half + j] = (float) Math.cos(angle);
        sin[p * half + j] = (float) Math.sin(angle);
      }
    }
    CpuTensor cosines = CpuTensor.allocate(positions, half);
    CpuTensor sines = CpuTensor.allocate(positions, half);
    cosines.write(cos);
    sines.write(sin);
    return new Table(positions, cosines, sines);
  }

  /**
   * Rotates the heads of each row in place, see {@link CpuBackend#rope}.
   *
   * @param at position of each row
   */
  void rotate(MemorySegment x, int[] at, int heads, boolean backward, WorkPool pool) {
    RowBlocks blocks = RowBlocks.of(at.length, 2L * heads * half, pool);
    Table table = covering(Arrays.stream(at).max().orElse(0));
    MemorySegment cos = table.cosines.memory();
    MemorySegment sin = table.sines.memory();
    float sign = backward ? -1 : 1;
    pool.run(
        blocks.count(),
        (unit, worker) -> {
          for (int row = blocks.start(unit); row < blocks.end(unit); row++) {
            long first = (long) at[row] * half;
            for (int head = 0; head < heads; head++) {
              rotate(x, ((long) row * heads + head) * 2 * half, cos, sin, first, sign);
            }
          }
        });
  }

  private void rotate(
      MemorySegment x, long first, MemorySegment cos, MemorySegment sin, long table, float sign) {
    int j = 0;
    for (; j <= half - WIDTH; j += WIDTH) {
      FloatVector c = load(cos, table + j);
      FloatVector s = load(sin, table + j).mul(sign);
      FloatVector a = load(x, first + j);
      FloatVector b = load(x, first + half + j);
      store(a.mul(c).sub(b.mul(s)), x, first + j);
      store(b.mul(c).add(a.mul(s)), x, first + half + j);
    }
    if (j < half) {
      rotateRest(x, first, cos, sin, table, sign, j);
    }
  }

  /** The last pairs of a head, which do not fill a vector. */
  private void rotateRest(
      MemorySegment x,
      long first,
      MemorySegment cos,
      MemorySegment sin,
      long table,
      float sign,
      int j) {
    VectorMask<Float> mask = rest(j, half);
    FloatVector c = load(cos, table + j, mask);
    FloatVector s = load(sin, table + j, mask).mul(sign);
    FloatVector a = load(x, first + j, mask);
    FloatVector b = load(x, first + half + j, mask);
    store(a.mul(c).sub(b.mul(s)), x, first + j, mask);
    store(b.mul(c).add(a.mul(s)), x, first + half + j, mask);
  }

  @Override
  public void close() {
    for (Table table : tables) {
      table.cosines.close();
      table.sines.close();
    }
    tables.clear();
  }
}

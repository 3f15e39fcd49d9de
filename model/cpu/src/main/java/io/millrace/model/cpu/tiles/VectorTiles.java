package io.millrace.model.cpu.tiles;

import static io.millrace.model.cpu.tiles.Lanes.all;
import static io.millrace.model.cpu.tiles.Lanes.zero;
import static io.millrace.model.cpu.tiles.Native.get;
import static io.millrace.model.cpu.tiles.Native.load;
import static io.millrace.model.cpu.tiles.Native.put;
import static io.millrace.model.cpu.tiles.Native.store;

import jdk.incubator.vector.FloatVector;

/** Tiles with the Vector API, for any machine. */
public final class VectorTiles implements Tiles {

  private static final int ROWS = 4;

  private static final long VECTOR = (long) Float.BYTES * Lanes.WIDTH;

  @Override
  public String toString() {
    return "Vector API and OpenBLAS";
  }

  @Override
  public int rows() {
    return ROWS;
  }

  @Override
  public void multiply(
      int rows,
      int vectors,
      boolean add,
      Matrix a,
      Matrix b,
      Matrix c,
      int k,
      int count,
      long aStep,
      long bStep,
      long cStep) {
    for (int tile = 0; tile < count; tile++) {
      for (int v = 0; v < vectors; v++) {
        long ofA = a.address() + tile * aStep;
        long ofB = b.address() + tile * bStep + v * VECTOR;
        long ofC = c.address() + tile * cStep + v * VECTOR;
        if (rows == ROWS) {
          four(add, a, ofA, ofB, b.rowStride(), ofC, c.rowStride(), k);
        } else {
          for (int row = 0; row < rows; row++) {
            long rowOfA = ofA + row * a.rowStride();
            one(add, a, rowOfA, ofB, b.rowStride(), ofC + row * c.rowStride(), k);
          }
        }
      }
    }
  }

  private static void four(
      boolean add, Matrix strides, long a, long b, long bStride, long c, long cStride, int k) {
    long rowStride = strides.rowStride();
    FloatVector c0 = add ? load(c) : zero();
    FloatVector c1 = add ? load(c + cStride) : zero();
    FloatVector c2 = add ? load(c + 2 * cStride) : zero();
    FloatVector c3 = add ? load(c + 3 * cStride) : zero();
    for (int p = 0; p < k; p++) {
      FloatVector x = load(b + p * bStride);
      long at = a + p * strides.columnStride();
      c0 = all(get(at)).fma(x, c0);
      c1 = all(get(at + rowStride)).fma(x, c1);
      c2 = all(get(at + 2 * rowStride)).fma(x, c2);
      c3 = all(get(at + 3 * rowStride)).fma(x, c3);
    }
    store(c0, c);
    store(c1, c + cStride);
    store(c2, c + 2 * cStride);
    store(c3, c + 3 * cStride);
  }

  private static void one(
      boolean add, Matrix strides, long a, long b, long bStride, long c, int k) {
    FloatVector sum = add ? load(c) : zero();
    for (int p = 0; p < k; p++) {
      float number = get(a + p * strides.columnStride());
      sum = all(number).fma(load(b + p * bStride), sum);
    }
    store(sum, c);
  }

  @Override
  public void transpose(
      long from, long fromStride, long to, long toStride, int count, long fromStep, long toStep) {
    for (int square = 0; square < count; square++) {
      for (int i = 0; i < SQUARE; i++) {
        for (int j = 0; j < SQUARE; j++) {
          long column = (long) Float.BYTES * j;
          float value = get(from + square * fromStep + i * fromStride + column);
          put(to + square * toStep + j * toStride + (long) Float.BYTES * i, value);
        }
      }
    }
  }
}

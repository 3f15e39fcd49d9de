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
      Sums sums,
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
          four(sums, a, ofA, ofB, b.rowStride(), ofC, c.rowStride(), k);
        } else {
          for (int row = 0; row < rows; row++) {
            long rowOfA = ofA + row * a.rowStride();
            one(sums, a, rowOfA, ofB, b.rowStride(), ofC + row * c.rowStride(), k);
          }
        }
      }
    }
  }

  private static void four(
      Sums sums, Matrix strides, long a, long b, long bStride, long c, long cStride, int k) {
    long rowStride = strides.rowStride();
    FloatVector c0 = start(sums, c);
    FloatVector c1 = start(sums, c + cStride);
    FloatVector c2 = start(sums, c + 2 * cStride);
    FloatVector c3 = start(sums, c + 3 * cStride);
    for (int p = 0; p < k; p++) {
      FloatVector x = load(b + p * bStride);
      long at = a + p * strides.columnStride();
      c0 = all(get(at)).fma(x, c0);
      c1 = all(get(at + rowStride)).fma(x, c1);
      c2 = all(get(at + 2 * rowStride)).fma(x, c2);
      c3 = all(get(at + 3 * rowStride)).fma(x, c3);
    }
    finish(sums, c0, c);
    finish(sums, c1, c + cStride);
    finish(sums, c2, c + 2 * cStride);
    finish(sums, c3, c + 3 * cStride);
  }

  private static FloatVector start(Sums sums, long c) {
    return sums == Sums.CONTINUED ? load(c) : zero();
  }

  private static void finish(Sums sums, FloatVector sum, long c) {
    store(sums == Sums.ADDED ? sum.add(load(c)) : sum, c);
  }

  private static void one(Sums sums, Matrix strides, long a, long b, long bStride, long c, int k) {
    FloatVector sum = start(sums, c);
    for (int p = 0; p < k; p++) {
      float number = get(a + p * strides.columnStride());
      sum = all(number).fma(load(b + p * bStride), sum);
    }
    finish(sums, sum, c);
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

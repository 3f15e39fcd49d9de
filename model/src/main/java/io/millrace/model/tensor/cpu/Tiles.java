package io.millrace.model.tensor.cpu;

import static io.millrace.model.tensor.cpu.Lanes.WIDTH;
import static io.millrace.model.tensor.cpu.Lanes.all;
import static io.millrace.model.tensor.cpu.Lanes.zero;
import static io.millrace.model.tensor.cpu.Native.get;
import static io.millrace.model.tensor.cpu.Native.load;
import static io.millrace.model.tensor.cpu.Native.store;

import jdk.incubator.vector.FloatVector;

/**
 * Attention's matrix products, which are too small for sgemm: it copies its operands before it
 * begins. Here the operands lie as the products want them, and tiles of a few rows and two vectors
 * stay in registers; twice sgemm's speed at such sizes.
 *
 * <p>Sums go in the order of k, each element's by itself. Strides of what is read a number at a
 * time are constants, since each access is checked against them otherwise. All addresses are in
 * bytes.
 */
final class Tiles {

  /** A tile's columns. */
  static final int COLUMNS = 2 * WIDTH;

  /** Rows of a panel. */
  static final int PANEL = 6;

  /** Rows of the other products' tiles. */
  static final int ROWS = 4;

  private static final long ELEMENT = Float.BYTES;
  private static final long VECTOR = ELEMENT * WIDTH;
  private static final long ROW = ELEMENT * COLUMNS;

  private Tiles() {}

  /**
   * c = a·b [k, COLUMNS], with c [m, COLUMNS] in whole panels.
   *
   * @param a [⌈m/PANEL⌉, k, PANEL]: six rows together, transposed
   */
  static void ofPanels(int m, int k, long a, long b, long c) {
    for (int i = 0; i < m; i += PANEL) {
      panel(k, a + ELEMENT * i * k, b, c + ROW * i);
    }
  }

  private static void panel(int k, long a, long b, long c) {
    FloatVector c00 = zero();
    FloatVector c01 = zero();
    FloatVector c10 = zero();
    FloatVector c11 = zero();
    FloatVector c20 = zero();
    FloatVector c21 = zero();
    FloatVector c30 = zero();
    FloatVector c31 = zero();
    FloatVector c40 = zero();
    FloatVector c41 = zero();
    FloatVector c50 = zero();
    FloatVector c51 = zero();
    for (int p = 0; p < k; p++) {
      FloatVector b0 = load(b + p * ROW);
      FloatVector b1 = load(b + p * ROW + VECTOR);
      long at = a + p * (PANEL * ELEMENT);
      FloatVector x = all(get(at));
      c00 = x.fma(b0, c00);
      c01 = x.fma(b1, c01);
      x = all(get(at + ELEMENT));
      c10 = x.fma(b0, c10);
      c11 = x.fma(b1, c11);
      x = all(get(at + 2 * ELEMENT));
      c20 = x.fma(b0, c20);
      c21 = x.fma(b1, c21);
      x = all(get(at + 3 * ELEMENT));
      c30 = x.fma(b0, c30);
      c31 = x.fma(b1, c31);
      x = all(get(at + 4 * ELEMENT));
      c40 = x.fma(b0, c40);
      c41 = x.fma(b1, c41);
      x = all(get(at + 5 * ELEMENT));
      c50 = x.fma(b0, c50);
      c51 = x.fma(b1, c51);
    }
    store(c00, c);
    store(c01, c + VECTOR);
    store(c10, c + ROW);
    store(c11, c + ROW + VECTOR);
    store(c20, c + 2 * ROW);
    store(c21, c + 2 * ROW + VECTOR);
    store(c30, c + 3 * ROW);
    store(c31, c + 3 * ROW + VECTOR);
    store(c40, c + 4 * ROW);
    store(c41, c + 4 * ROW + VECTOR);
    store(c50, c + 5 * ROW);
    store(c51, c + 5 * ROW + VECTOR);
  }

  /** c [COLUMNS, n] = aᵀ·b, with a [k, COLUMNS] and b [k, n]. */
  static void ofColumns(int k, int n, long a, long b, long c) {
    for (int j = 0; j < n; j += COLUMNS) {
      for (int i = 0; i < COLUMNS; i += ROWS) {
        long to = c + ELEMENT * ((long) i * n + j);
        columns(k, ELEMENT * n, a + ELEMENT * i, b + ELEMENT * j, to);
      }
    }
  }

  private static void columns(int k, long stride, long a, long b, long c) {
    FloatVector c00 = zero();
    FloatVector c01 = zero();
    FloatVector c10 = zero();
    FloatVector c11 = zero();
    FloatVector c20 = zero();
    FloatVector c21 = zero();
    FloatVector c30 = zero();
    FloatVector c31 = zero();
    for (int p = 0; p < k; p++) {
      FloatVector b0 = load(b + p * stride);
      FloatVector b1 = load(b + p * stride + VECTOR);
      long at = a + p * ROW;
      FloatVector x = all(get(at));
      c00 = x.fma(b0, c00);
      c01 = x.fma(b1, c01);
      x = all(get(at + ELEMENT));
      c10 = x.fma(b0, c10);
      c11 = x.fma(b1, c11);
      x = all(get(at + 2 * ELEMENT));
      c20 = x.fma(b0, c20);
      c21 = x.fma(b1, c21);
      x = all(get(at + 3 * ELEMENT));
      c30 = x.fma(b0, c30);
      c31 = x.fma(b1, c31);
    }
    store(c00, c);
    store(c01, c + VECTOR);
    store(c10, c + stride);
    store(c11, c + stride + VECTOR);
    store(c20, c + 2 * stride);
    store(c21, c + 2 * stride + VECTOR);
    store(c30, c + 3 * stride);
    store(c31, c + 3 * stride + VECTOR);
  }

  /** c [m, n] += a·b, with a [m, COLUMNS] and b [COLUMNS, n]; m in whole tiles of ROWS. */
  static void addOfRows(int m, int k, int n, long a, long b, long c) {
    for (int j = 0; j < n; j += COLUMNS) {
      for (int i = 0; i < m; i += ROWS) {
        long to = c + ELEMENT * ((long) i * n + j);
        rows(k, ELEMENT * n, a + ROW * i, b + ELEMENT * j, to);
      }
    }
  }

  private static void rows(int k, long stride, long a, long b, long c) {
    FloatVector c00 = load(c);
    FloatVector c01 = load(c + VECTOR);
    FloatVector c10 = load(c + stride);
    FloatVector c11 = load(c + stride + VECTOR);
    FloatVector c20 = load(c + 2 * stride);
    FloatVector c21 = load(c + 2 * stride + VECTOR);
    FloatVector c30 = load(c + 3 * stride);
    FloatVector c31 = load(c + 3 * stride + VECTOR);
    for (int p = 0; p < k; p++) {
      FloatVector b0 = load(b + p * stride);
      FloatVector b1 = load(b + p * stride + VECTOR);
      long at = a + p * ELEMENT;
      FloatVector x = all(get(at));
      c00 = x.fma(b0, c00);
      c01 = x.fma(b1, c01);
      x = all(get(at + ROW));
      c10 = x.fma(b0, c10);
      c11 = x.fma(b1, c11);
      x = all(get(at + 2 * ROW));
      c20 = x.fma(b0, c20);
      c21 = x.fma(b1, c21);
      x = all(get(at + 3 * ROW));
      c30 = x.fma(b0, c30);
      c31 = x.fma(b1, c31);
    }
    store(c00, c);
    store(c01, c + VECTOR);
    store(c10, c + stride);
    store(c11, c + stride + VECTOR);
    store(c20, c + 2 * stride);
    store(c21, c + 2 * stride + VECTOR);
    store(c30, c + 3 * stride);
    store(c31, c + 3 * stride + VECTOR);
  }
}

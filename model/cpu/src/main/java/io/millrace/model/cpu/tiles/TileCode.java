package io.millrace.model.cpu.tiles;

import static io.millrace.model.cpu.tiles.Assembler.R10;
import static io.millrace.model.cpu.tiles.Assembler.R11;
import static io.millrace.model.cpu.tiles.Assembler.R12;
import static io.millrace.model.cpu.tiles.Assembler.R13;
import static io.millrace.model.cpu.tiles.Assembler.R14;
import static io.millrace.model.cpu.tiles.Assembler.R15;
import static io.millrace.model.cpu.tiles.Assembler.R8;
import static io.millrace.model.cpu.tiles.Assembler.R9;
import static io.millrace.model.cpu.tiles.Assembler.RAX;
import static io.millrace.model.cpu.tiles.Assembler.RBP;
import static io.millrace.model.cpu.tiles.Assembler.RBX;
import static io.millrace.model.cpu.tiles.Assembler.RCX;
import static io.millrace.model.cpu.tiles.Assembler.RDI;
import static io.millrace.model.cpu.tiles.Assembler.RDX;
import static io.millrace.model.cpu.tiles.Assembler.RSI;
import static io.millrace.model.cpu.tiles.Assembler.RSP;

import io.millrace.model.cpu.tiles.Assembler.Memory;

/**
 * Generates the machine code of {@link Tiles} for the System V calling convention: arguments are in
 * rdi, rsi, rdx, rcx, r8, r9 and on the stack.
 *
 * <p>The sums of a tile stay in registers over all of k. For each k, the code loads two vectors of
 * b and multiplies one number of each row of a with both. The number of registers limits the rows
 * of a tile: 6 rows with the 16 registers of AVX2, and 14 rows with the 32 of AVX-512, where the
 * number is a memory operand of the multiplication.
 */
final class TileCode {

  private static final int[] SAVED = {RBX, RBP, R12, R13, R14, R15};

  /**
   * Pointers to every fifth row. With them, addresses of up to 15 rows need strides of at most four
   * times the row stride.
   */
  private static final int[] POINTERS = {RAX, RBX, R12};

  private static final int POINTER_ROWS = 5;

  private static final int CACHE_LINE = 64;

  private final boolean wide;

  TileCode(boolean wide) {
    this.wide = wide;
  }

  /** Maximum rows of a tile. */
  int rows() {
    return wide ? 14 : 6;
  }

  /** Elements of a vector. */
  int lanes() {
    return wide ? 16 : 8;
  }

  /**
   * The code of a function {@code void (a, rowStride, kStride, b, bStride, c, cStride, k, count,
   * aStep, bStep, cStep)}. It computes {@code count} tiles c {@code [rows, vectors · lanes]} = Σ_k
   * a · b, or c + Σ_k a · b. Strides and steps are in bytes; k and count are at least 1.
   */
  byte[] multiply(int rows, int vectors, Tiles.Sums sums) {
    // Registers: rdi a, rsi rowStride, r13 3 · rowStride, rdx kStride; rcx b, r8 bStride; r9 c, r14
    // cStride, r15 3 · cStride; rbp tiles left; r10 row of b, r11 rows of b left.
    Assembler code = begun(wide);
    code.move(R14, argument(0));
    code.address(R15, new Memory(R14, R14, 2, 0));
    code.address(R13, new Memory(RSI, RSI, 2, 0));
    code.move(RBP, argument(2));

    int nextTile = code.here();
    boolean continued = sums == Tiles.Sums.CONTINUED;
    if (continued) {
      pointers(code, rows, R9, R14);
    }
    for (int row = 0; row < rows; row++) {
      for (int v = 0; v < vectors; v++) {
        if (continued) {
          code.load(row * vectors + v, element(row, R14, R15, v));
        } else {
          code.clear(row * vectors + v);
        }
      }
    }
    // Prefetch the next tile of c while this one is computed.
    code.move(R10, R9);
    code.add(R10, argument(5));
    pointers(code, rows, R10, R14);
    for (int row = 0; row < rows; row++) {
      for (int v = 0; v < vectors; v += CACHE_LINE / vectorBytes()) {
        code.prefetchForWrite(element(row, R14, R15, v));
      }
    }
    pointers(code, rows, RDI, RSI);
    code.move(R10, RCX);
    code.move(R11, argument(1));

    int nextK = code.here();
    int b = rows() * 2;
    for (int v = 0; v < vectors; v++) {
      code.load(b + v, Memory.at(R10, v * vectorBytes()));
    }
    for (int row = 0; row < rows; row++) {
      Memory number = element(row, RSI, R13, 0);
      int broadcast = b + 2 + row % 2;
      if (!wide) {
        code.broadcast(broadcast, number);
      }
      for (int v = 0; v < vectors; v++) {
        if (wide) {
          code.multiplyAddBroadcast(row * vectors + v, b + v, number);
        } else {
          code.multiplyAdd(row * vectors + v, b + v, broadcast);
        }
      }
    }
    for (int pointer = 0; pointer * POINTER_ROWS < rows; pointer++) {
      code.add(POINTERS[pointer], RDX);
    }
    code.add(R10, R8);
    code.decrement(R11);
    code.jumpUnlessZero(nextK);

    pointers(code, rows, R9, R14);
    for (int row = 0; row < rows; row++) {
      for (int v = 0; v < vectors; v++) {
        if (sums == Tiles.Sums.ADDED) {
          code.addFloats(row * vectors + v, element(row, R14, R15, v));
        }
        code.store(row * vectors + v, element(row, R14, R15, v));
      }
    }
    code.add(RDI, argument(3));
    code.add(RCX, argument(4));
    code.add(R9, argument(5));
    code.decrement(RBP);
    code.jumpUnlessZero(nextTile);
    return ended(code);
  }

  private static Assembler begun(boolean wide) {
    Assembler code = new Assembler(wide);
    for (int register : SAVED) {
      code.push(register);
    }
    return code;
  }

  private static byte[] ended(Assembler code) {
    code.zeroUpper();
    for (int i = SAVED.length - 1; i >= 0; i--) {
      code.pop(SAVED[i]);
    }
    code.ret();
    return code.code();
  }

  /**
   * An argument after the sixth: on the stack, above the saved registers and the return address.
   */
  private static Memory argument(int index) {
    return Memory.at(RSP, Long.BYTES * (SAVED.length + 1 + index));
  }

  private int vectorBytes() {
    return lanes() * Float.BYTES;
  }

  /** Sets the pointers to every fifth row. */
  private static void pointers(Assembler code, int rows, int from, int stride) {
    code.move(POINTERS[0], from);
    for (int i = 1; i * POINTER_ROWS < rows; i++) {
      code.address(POINTERS[i], new Memory(POINTERS[i - 1], stride, 4, 0));
      code.add(POINTERS[i], stride);
    }
  }

  /**
   * The memory operand of a vector in a row: the pointer before the row, plus up to four strides.
   */
  private Memory element(int row, int stride, int threeStrides, int vector) {
    int pointer = POINTERS[row / POINTER_ROWS];
    int offset = vector * vectorBytes();
    return switch (row % POINTER_ROWS) {
      case 0 -> Memory.at(pointer, offset);
      case 3 -> new Memory(pointer, threeStrides, 1, offset);
      default -> new Memory(pointer, stride, row % POINTER_ROWS, offset);
    };
  }

  /**
   * The code of a function {@code void (from, fromStride, to, toStride, count, fromStep, toStep)}.
   * It transposes {@code count} squares of 8 × 8 floats. Strides and steps are in bytes; count is
   * at least 1. The code is for AVX2 only.
   */
  byte[] transpose() {
    Assembler code = begun(wide);
    code.address(R13, new Memory(RSI, RSI, 2, 0));
    code.address(R15, new Memory(RCX, RCX, 2, 0));

    int next = code.here();
    pointers(code, 8, RDI, RSI);
    for (int row = 0; row < 8; row++) {
      code.load(row, element(row, RSI, R13, 0));
    }
    for (int i = 0; i < 8; i += 2) {
      code.unpackLow(8 + i, i, i + 1);
      code.unpackHigh(9 + i, i, i + 1);
    }
    for (int i = 0; i < 8; i += 4) {
      for (int j = 0; j < 2; j++) {
        code.shuffle(i + 2 * j, 8 + i + j, 10 + i + j, 0x44);
        code.shuffle(i + 2 * j + 1, 8 + i + j, 10 + i + j, 0xEE);
      }
    }
    for (int i = 0; i < 4; i++) {
      code.permuteHalves(8 + i, i, 4 + i, 0x20);
      code.permuteHalves(12 + i, i, 4 + i, 0x31);
    }
    pointers(code, 8, RDX, RCX);
    for (int row = 0; row < 8; row++) {
      code.store(8 + row, element(row, RCX, R15, 0));
    }
    code.add(RDI, R9);
    code.add(RDX, argument(0));
    code.decrement(R8);
    code.jumpUnlessZero(next);
    return ended(code);
  }
}

package io.millrace.model.cpu.tiles;

import java.util.Arrays;

/**
 * Encodes the x86-64 instructions of {@link TileCode} (Intel 64 and IA-32 Architectures Software
 * Developer's Manual, volume 2, sections 2.1 for REX, 2.3 for VEX and 2.7 for EVEX). Vectors are
 * ymm registers with AVX2 and zmm registers with AVX-512.
 */
final class Assembler {

  // General registers, by their numbers in the instruction set.
  static final int RAX = 0;
  static final int RCX = 1;
  static final int RDX = 2;
  static final int RBX = 3;
  static final int RSP = 4;
  static final int RBP = 5;
  static final int RSI = 6;
  static final int RDI = 7;
  static final int R8 = 8;
  static final int R9 = 9;
  static final int R10 = 10;
  static final int R11 = 11;
  static final int R12 = 12;
  static final int R13 = 13;
  static final int R14 = 14;
  static final int R15 = 15;

  /** An opcode with its fields in VEX and EVEX: the opcode map, and the prefix that is implied. */
  private enum Opcode {
    LOAD(0x10, 1, 0),
    STORE(0x11, 1, 0),
    UNPACK_LOW(0x14, 1, 0),
    UNPACK_HIGH(0x15, 1, 0),
    XOR(0x57, 1, 0),
    ADD(0x58, 1, 0),
    XOR_512(0xEF, 1, 1),
    SHUFFLE(0xC6, 1, 0),
    BROADCAST(0x18, 2, 1),
    FMA(0xB8, 2, 1),
    PERMUTE_HALVES(0x06, 3, 1);

    final int code;
    final int map;
    final int prefix;

    Opcode(int code, int map, int prefix) {
      this.code = code;
      this.map = map;
      this.prefix = prefix;
    }
  }

  /**
   * A memory operand at base + index · scale + offset.
   *
   * @param base a register
   * @param index a register, or {@link #RSP} for none
   * @param scale 1, 2, 4 or 8
   * @param offset in bytes
   */
  record Memory(int base, int index, int scale, int offset) {
    static Memory at(int base, int offset) {
      return new Memory(base, RSP, 1, offset);
    }
  }

  private final boolean wide;
  private byte[] code = new byte[1024];
  private int size;

  /**
   * An empty program.
   *
   * @param wide whether vectors have 512 bits instead of 256
   */
  Assembler(boolean wide) {
    this.wide = wide;
  }

  /** The bytes of the program so far. */
  byte[] code() {
    return Arrays.copyOf(code, size);
  }

  /** Position of the next instruction, as a target for {@link #jumpUnlessZero}. */
  int here() {
    return size;
  }

  void push(int register) {
    shortForm(0x50, register);
  }

  void pop(int register) {
    shortForm(0x58, register);
  }

  private void shortForm(int opcode, int register) {
    if (register >= R8) {
      emit(0x41);
    }
    emit(opcode + (register & 7));
  }

  void move(int target, int source) {
    registers(0x8B, target, source);
  }

  void add(int target, int source) {
    registers(0x03, target, source);
  }

  /** {@code target −= 1}; sets the zero flag if the result is 0. */
  void decrement(int target) {
    registers(0xFF, 1, target);
  }

  private void registers(int opcode, int reg, int rm) {
    emit(0x48 | (reg >> 3) << 2 | rm >> 3, opcode, 0xC0 | (reg & 7) << 3 | (rm & 7));
  }

  void move(int target, Memory source) {
    memory(0x8B, target, source);
  }

  void add(int target, Memory source) {
    memory(0x03, target, source);
  }

  /** {@code target} = the address of the operand (LEA). */
  void address(int target, Memory of) {
    memory(0x8D, target, of);
  }

  private void memory(int opcode, int reg, Memory m) {
    emit(0x48 | (reg >> 3) << 2 | (m.index >> 3) << 1 | m.base >> 3, opcode);
    operand(reg, m, 1);
  }

  /** Prefetches a cache line for writing. */
  void prefetchForWrite(Memory m) {
    emit(0x40 | (m.index >> 3) << 1 | m.base >> 3, 0x0F, 0x0D);
    operand(1, m, 1);
  }

  /** Jumps to a position if the zero flag is not set. */
  void jumpUnlessZero(int target) {
    int next = size + 6;
    emit(0x0F, 0x85);
    word(target - next);
  }

  /**
   * Clears the upper halves of the vector registers, as the System V convention requires before SSE
   * code runs.
   */
  void zeroUpper() {
    emit(0xC5, 0xF8, 0x77);
  }

  void ret() {
    emit(0xC3);
  }

  void load(int target, Memory source) {
    vector(Opcode.LOAD, target, source);
  }

  void store(int source, Memory target) {
    vector(Opcode.STORE, source, target);
  }

  /** {@code sum += x}, element by element. */
  void addFloats(int sum, Memory x) {
    vector(Opcode.ADD, sum, sum, x);
  }

  void clear(int target) {
    vector(wide ? Opcode.XOR_512 : Opcode.XOR, target, target, target);
  }

  /** Loads a float into every lane; 256 bits. */
  void broadcast(int target, Memory source) {
    vex(Opcode.BROADCAST, target, 0, source.index >> 3, source.base >> 3);
    operand(target, source, 1);
  }

  /** {@code sum += x · y}; 256 bits. */
  void multiplyAdd(int sum, int x, int y) {
    vector(Opcode.FMA, sum, x, y);
  }

  /** {@code sum += x · y} with the float y in every lane; 512 bits. */
  void multiplyAddBroadcast(int sum, int x, Memory y) {
    evex(Opcode.FMA, sum, x, y.index >> 3, y.base >> 3, true);
    operand(sum, y, Float.BYTES);
  }

  /** Interleaves the low elements of each half: a0 b0 a1 b1; 256 bits. */
  void unpackLow(int target, int a, int b) {
    vector(Opcode.UNPACK_LOW, target, a, b);
  }

  /** Interleaves the high elements of each half: a2 b2 a3 b3; 256 bits. */
  void unpackHigh(int target, int a, int b) {
    vector(Opcode.UNPACK_HIGH, target, a, b);
  }

  /**
   * Takes two elements of a and two of b in each half; the selection has two bits for each; 256
   * bits.
   */
  void shuffle(int target, int a, int b, int selection) {
    vector(Opcode.SHUFFLE, target, a, b);
    emit(selection);
  }

  /**
   * Takes two of the halves of a (0, 1) and b (2, 3); the selection has four bits for each; 256
   * bits.
   */
  void permuteHalves(int target, int a, int b, int selection) {
    vector(Opcode.PERMUTE_HALVES, target, a, b);
    emit(selection);
  }

  private void vector(Opcode opcode, int reg, Memory m) {
    vector(opcode, reg, 0, m);
  }

  private void vector(Opcode opcode, int reg, int first, Memory m) {
    if (wide) {
      evex(opcode, reg, first, m.index >> 3, m.base >> 3, false);
      operand(reg, m, 64);
    } else {
      vex(opcode, reg, first, m.index >> 3, m.base >> 3);
      operand(reg, m, 1);
    }
  }

  private void vector(Opcode opcode, int reg, int first, int second) {
    if (wide) {
      evex(opcode, reg, first, second >> 4, (second >> 3) & 1, false);
    } else {
      vex(opcode, reg, first, 0, second >> 3);
    }
    emit(0xC0 | (reg & 7) << 3 | (second & 7));
  }

  private void vex(Opcode opcode, int reg, int first, int x, int b) {
    emit(
        0xC4,
        (1 ^ reg >> 3) << 7 | (1 ^ x) << 6 | (1 ^ b) << 5 | opcode.map,
        (15 ^ first) << 3 | 1 << 2 | opcode.prefix,
        opcode.code);
  }

  private void evex(Opcode opcode, int reg, int first, int x, int b, boolean broadcast) {
    emit(
        0x62,
        (1 ^ ((reg >> 3) & 1)) << 7
            | (1 ^ x) << 6
            | (1 ^ b) << 5
            | (1 ^ reg >> 4) << 4
            | opcode.map,
        (15 ^ (first & 15)) << 3 | 1 << 2 | opcode.prefix,
        2 << 5 | (broadcast ? 1 << 4 : 0) | (1 ^ first >> 4) << 3,
        opcode.code);
  }

  /**
   * Emits ModRM, SIB and the offset. The offset takes one byte if it is a small multiple of the
   * unit.
   */
  private void operand(int reg, Memory m, int unit) {
    boolean small = m.offset % unit == 0 && m.offset / unit == (byte) (m.offset / unit);
    int mode = m.offset == 0 && (m.base & 7) != RBP ? 0 : small ? 1 : 2;
    emit(
        mode << 6 | (reg & 7) << 3 | 4,
        Integer.numberOfTrailingZeros(m.scale) << 6 | (m.index & 7) << 3 | (m.base & 7));
    if (mode == 1) {
      emit(m.offset / unit);
    } else if (mode == 2) {
      word(m.offset);
    }
  }

  private void word(int value) {
    emit(value, value >> 8, value >> 16, value >> 24);
  }

  private void emit(int... bytes) {
    if (size + bytes.length > code.length) {
      code = Arrays.copyOf(code, 2 * code.length);
    }
    for (int value : bytes) {
      code[size++] = (byte) value;
    }
  }
}

package io.millrace.model.cpu.tiles;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.model.cpu.tiles.Assembler.Memory;
import java.util.HexFormat;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/**
 * Encoded instructions against the bytes of GNU as. This also covers instructions that the test
 * machine lacks.
 */
class AssemblerTest {

  @Test
  void generalInstructions() {
    assertBytes("53", false, code -> code.push(Assembler.RBX));
    assertBytes("41 54", false, code -> code.push(Assembler.R12));
    assertBytes("41 5c", false, code -> code.pop(Assembler.R12));
    assertBytes(
        "4c 8b 74 24 38", false, code -> code.move(Assembler.R14, Memory.at(Assembler.RSP, 56)));
    assertBytes(
        "48 03 bc 24 2c 01 00 00",
        false,
        code -> code.add(Assembler.RDI, Memory.at(Assembler.RSP, 300)));
    assertBytes(
        "4f 8d 3c 76",
        false,
        code -> code.address(Assembler.R15, new Memory(Assembler.R14, Assembler.R14, 2, 0)));
    assertBytes(
        "48 8d 1c b0",
        false,
        code -> code.address(Assembler.RBX, new Memory(Assembler.RAX, Assembler.RSI, 4, 0)));
    assertBytes("49 ff cb", false, code -> code.decrement(Assembler.R11));
    assertBytes(
        "42 0f 0d 0c 33",
        false,
        code -> code.prefetchForWrite(new Memory(Assembler.RBX, Assembler.R14, 1, 0)));
    assertBytes("c5 f8 77", false, Assembler::zeroUpper);
    assertBytes("c3", false, Assembler::ret);
  }

  @Test
  void aJumpCountsFromItsEnd() {
    assertBytes(
        "c3 0f 85 f9 ff ff ff",
        false,
        code -> {
          int start = code.here();
          code.ret();
          code.jumpUnlessZero(start);
        });
  }

  @Test
  void vectorsOf256Bits() {
    assertBytes(
        "c4 02 7d 18 34 2c",
        false,
        code -> code.broadcast(14, new Memory(Assembler.R12, Assembler.R13, 1, 0)));
    assertBytes("c4 c2 1d b8 de", false, code -> code.multiplyAdd(3, 12, 14));
    assertBytes("c4 41 34 57 c9", false, code -> code.clear(9));
    assertBytes("c4 c1 3c c6 c2 44", false, code -> code.shuffle(0, 8, 10, 0x44));
    assertBytes("c4 63 7d 06 e4 31", false, code -> code.permuteHalves(12, 0, 4, 0x31));
  }

  @Test
  void vectorsOf512Bits() {
    assertBytes(
        "62 e2 1d 50 b8 0c 73",
        true,
        code -> code.multiplyAddBroadcast(17, 28, new Memory(Assembler.RBX, Assembler.RSI, 2, 0)));
    // An offset that is a whole number of vectors is encoded in vectors.
    assertBytes(
        "62 01 7c 48 11 5c b4 01",
        true,
        code -> code.store(27, new Memory(Assembler.R12, Assembler.R14, 4, 64)));
    assertBytes("62 a1 6d 40 ef d2", true, code -> code.clear(18));
  }

  private static void assertBytes(String expected, boolean wide, Consumer<Assembler> instructions) {
    Assembler code = new Assembler(wide);
    instructions.accept(code);
    assertEquals(expected, HexFormat.ofDelimiter(" ").formatHex(code.code()));
  }
}

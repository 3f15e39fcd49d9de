package io.millrace.model.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.tensor.Sequences;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;

/** Properties over many calls: repeatable results and stable memory. */
interface StabilityContract extends Contract {

  @Test
  default void theSameCallsGiveTheSameBits() {
    Sequences sequences = Sequences.ofLengths(1, 60, 7, 33);
    List<float[]> first = resultsOf(sequences, 3);
    List<float[]> second = resultsOf(sequences, 3);
    for (int i = 0; i < first.size(); i++) {
      for (float value : first.get(i)) {
        assertTrue(Float.isFinite(value), "result " + i);
      }
      assertArrayEquals(first.get(i), second.get(i), 0f, "result " + i);
    }
    assertFalse(
        Arrays.equals(first.get(0), resultsOf(sequences, 2).get(0)),
        "an update must change the results");
  }

  /** JIT compilation of a kernel must not change its results. */
  @Test
  default void laterCallsGiveTheBitsOfTheFirst() {
    Sequences sequences = Sequences.ofLengths(3, 20);
    List<float[]> first = resultsOf(sequences, 1);
    for (int round = 2; round <= 500; round++) {
      List<float[]> again = resultsOf(sequences, 1);
      for (int i = 0; i < first.size(); i++) {
        assertArrayEquals(first.get(i), again.get(i), 0f, "result " + i + ", round " + round);
      }
    }
  }

  private List<float[]> resultsOf(Sequences sequences, int rounds) {
    try (Workload workload = new Workload(backend(), sequences)) {
      for (int round = 0; round < rounds; round++) {
        workload.run();
      }
      return workload.results();
    }
  }

  /**
   * In over 2,000 calls, a kernel that leaked one temporary of {@code [n, h]} would leak up to 72
   * MB. The limits allow for small garbage that waits for the collector.
   */
  @Test
  default void nativeMemoryDoesNotGrow() {
    int rounds = 2_100 / Workload.KERNELS;
    int[] lengths = new int[256];
    Arrays.fill(lengths, 16);
    try (Workload workload = new Workload(backend(), Sequences.ofLengths(lengths))) {
      touchJavaHeap();
      for (int round = 0; round < 20; round++) {
        workload.run();
      }
      long allocated = Pointer.totalBytes();
      long resident = Pointer.physicalBytes();
      for (int round = 0; round < rounds; round++) {
        workload.run();
      }
      long moreAllocated = Pointer.totalBytes() - allocated;
      long moreResident = Pointer.physicalBytes() - resident;
      assertTrue(moreAllocated < 4 << 20, "native memory grew by " + moreAllocated + " bytes");
      assertTrue(moreResident < 24 << 20, "resident memory grew by " + moreResident + " bytes");
    }
  }

  /**
   * Touches the Java heap, so that its pages are resident before the measurement and do not count
   * as growth.
   */
  private static void touchJavaHeap() {
    long touched = 0;
    for (long left = Runtime.getRuntime().totalMemory(); left > 0; left -= 1 << 20) {
      touched += new byte[1 << 20].length;
    }
    assertTrue(touched > 0);
  }
}

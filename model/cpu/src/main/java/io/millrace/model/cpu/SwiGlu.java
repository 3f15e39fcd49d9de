package io.millrace.model.cpu;

import static io.millrace.model.cpu.tiles.Lanes.C1;
import static io.millrace.model.cpu.tiles.Lanes.C2;
import static io.millrace.model.cpu.tiles.Lanes.C3;
import static io.millrace.model.cpu.tiles.Lanes.C4;
import static io.millrace.model.cpu.tiles.Lanes.C5;
import static io.millrace.model.cpu.tiles.Lanes.C6;
import static io.millrace.model.cpu.tiles.Lanes.F;
import static io.millrace.model.cpu.tiles.Lanes.HIGHEST;
import static io.millrace.model.cpu.tiles.Lanes.LN2_HIGH;
import static io.millrace.model.cpu.tiles.Lanes.LN2_LOW;
import static io.millrace.model.cpu.tiles.Lanes.LOG2_E;
import static io.millrace.model.cpu.tiles.Lanes.LOWEST;
import static io.millrace.model.cpu.tiles.Lanes.ONE;
import static io.millrace.model.cpu.tiles.Lanes.ROUND;
import static io.millrace.model.cpu.tiles.Lanes.WIDTH;
import static io.millrace.model.cpu.tiles.Native.ALL;
import static io.millrace.model.cpu.tiles.Native.ORDER;

import io.millrace.model.cpu.tiles.Lanes;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * The gate of the feed-forward block, element by element.
 *
 * <p>Both loops contain the code of {@link Lanes#exp}, because the compiler can reach its inlining
 * limit in these methods. The elements after the last whole vector are computed with a mask.
 */
final class SwiGlu {

  private static final long ELEMENT = Float.BYTES;
  private static final long VECTOR = ELEMENT * WIDTH;

  private SwiGlu() {}

  /**
   * {@code out = gate ∘ σ(gate) ∘ up}, for elements {@code from} to {@code to − 1}. Addresses are
   * those of element 0.
   */
  static void forward(long out, long gate, long up, long from, long to) {
    long at = ELEMENT * from;
    long end = ELEMENT * to;
    for (; at <= end - VECTOR; at += VECTOR) {
      FloatVector g = FloatVector.fromMemorySegment(F, ALL, gate + at, ORDER);
      FloatVector x = g.neg().max(LOWEST).min(HIGHEST);
      FloatVector shifted = x.fma(LOG2_E, ROUND);
      FloatVector n = shifted.sub(ROUND);
      FloatVector r = n.fma(LN2_LOW, n.fma(LN2_HIGH, x));
      FloatVector p = C6.fma(r, C5).fma(r, C4).fma(r, C3).fma(r, C2).fma(r, C1);
      p = p.fma(r.mul(r), r).add(ONE);
      IntVector power = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
      FloatVector e = p.reinterpretAsInts().add(power).reinterpretAsFloats();
      g.div(e.add(ONE))
          .mul(FloatVector.fromMemorySegment(F, ALL, up + at, ORDER))
          .intoMemorySegment(ALL, out + at, ORDER);
    }
    if (at < end) {
      restForward(out + at, gate + at, up + at, Lanes.rest(at / ELEMENT, to));
    }
  }

  private static void restForward(long out, long gate, long up, VectorMask<Float> mask) {
    FloatVector g = FloatVector.fromMemorySegment(F, ALL, gate, ORDER, mask);
    g.div(Lanes.exp(g.neg()).add(ONE))
        .mul(FloatVector.fromMemorySegment(F, ALL, up, ORDER, mask))
        .intoMemorySegment(ALL, out, ORDER, mask);
  }

  /**
   * Backward pass for elements {@code from} to {@code to − 1}, with s = σ(gate). dup may be up, and
   * dgate may be gate.
   *
   * <pre>
   *   dup   = dout ∘ gate ∘ s
   *   dgate = dout ∘ up ∘ s ∘ (1 + gate ∘ (1 − s))
   * </pre>
   */
  static void backward(long dgate, long dup, long dout, long gate, long up, long from, long to) {
    long at = ELEMENT * from;
    long end = ELEMENT * to;
    for (; at <= end - VECTOR; at += VECTOR) {
      FloatVector g = FloatVector.fromMemorySegment(F, ALL, gate + at, ORDER);
      FloatVector x = g.neg().max(LOWEST).min(HIGHEST);
      FloatVector shifted = x.fma(LOG2_E, ROUND);
      FloatVector n = shifted.sub(ROUND);
      FloatVector r = n.fma(LN2_LOW, n.fma(LN2_HIGH, x));
      FloatVector p = C6.fma(r, C5).fma(r, C4).fma(r, C3).fma(r, C2).fma(r, C1);
      p = p.fma(r.mul(r), r).add(ONE);
      IntVector power = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
      FloatVector e = p.reinterpretAsInts().add(power).reinterpretAsFloats();
      FloatVector s = ONE.div(e.add(ONE));
      FloatVector ds = FloatVector.fromMemorySegment(F, ALL, dout + at, ORDER).mul(s);
      FloatVector u = FloatVector.fromMemorySegment(F, ALL, up + at, ORDER);
      ds.mul(g).intoMemorySegment(ALL, dup + at, ORDER);
      ds.mul(u).mul(ONE.sub(s).fma(g, ONE)).intoMemorySegment(ALL, dgate + at, ORDER);
    }
    if (at < end) {
      VectorMask<Float> mask = Lanes.rest(at / ELEMENT, to);
      restBackward(dgate + at, dup + at, dout + at, gate + at, up + at, mask);
    }
  }

  private static void restBackward(
      long dgate, long dup, long dout, long gate, long up, VectorMask<Float> mask) {
    FloatVector g = FloatVector.fromMemorySegment(F, ALL, gate, ORDER, mask);
    FloatVector s = ONE.div(Lanes.exp(g.neg()).add(ONE));
    FloatVector ds = FloatVector.fromMemorySegment(F, ALL, dout, ORDER, mask).mul(s);
    FloatVector u = FloatVector.fromMemorySegment(F, ALL, up, ORDER, mask);
    ds.mul(g).intoMemorySegment(ALL, dup, ORDER, mask);
    ds.mul(u).mul(ONE.sub(s).fma(g, ONE)).intoMemorySegment(ALL, dgate, ORDER, mask);
  }
}

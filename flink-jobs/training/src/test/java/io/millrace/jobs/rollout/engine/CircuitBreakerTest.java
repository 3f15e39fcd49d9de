package io.millrace.jobs.rollout.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class CircuitBreakerTest {

  private final AtomicLong time = new AtomicLong(1_000);
  private final CircuitBreaker breaker =
      new CircuitBreaker("engine", 3, Duration.ofSeconds(10), time::get);

  @Test
  void opensAfterFailuresInARowAndLetsOneRequestThroughAfterEachPause() {
    breaker.failed("no answer");
    breaker.failed("no answer");
    breaker.answered();
    breaker.failed("no answer");
    breaker.failed("no answer");
    assertEquals(Duration.ZERO, breaker.await(), "an answer begins a new count");
    breaker.failed("no answer");
    assertTrue(breaker.isOpen());
    time.addAndGet(Duration.ofSeconds(4).toNanos());
    assertEquals(Duration.ofSeconds(6), breaker.await());
    // A request that was sent before does not begin the pause again.
    breaker.failed("no answer");
    assertEquals(Duration.ofSeconds(6), breaker.await());

    time.addAndGet(Duration.ofSeconds(6).toNanos());
    assertEquals(Duration.ZERO, breaker.await());
    assertTrue(breaker.await().isPositive(), "only one request probes");
    breaker.failed("no answer");
    assertEquals(Duration.ofSeconds(10), breaker.await());

    time.addAndGet(Duration.ofSeconds(10).toNanos());
    assertEquals(Duration.ZERO, breaker.await());
    breaker.answered();
    assertFalse(breaker.isOpen());
    assertEquals(Duration.ZERO, breaker.await());
    assertEquals(Duration.ZERO, breaker.await());
    assertEquals(2, breaker.successes());
  }
}

package io.millrace.jobs.rollout;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** PPO's side is played by the test. */
class SamplingPaceTest {

  private static final int PER_VERSION = 10;

  /** What the consumer group shows; null: Kafka does not answer. */
  private OptionalLong lag = OptionalLong.empty();

  private long now;

  private SamplingPace pace(long maxStaleness, int subtasks) {
    RolloutDemand demand =
        new RolloutDemand() {
          @Override
          public String learner() {
            return "ppo";
          }

          @Override
          public double rolloutsPerVersion() {
            return PER_VERSION;
          }

          @Override
          public long maxStaleness() {
            return maxStaleness;
          }
        };
    return new SamplingPace(
        demand,
        subtasks,
        () -> {
          if (lag == null) {
            throw new IOException("no answer");
          }
          return lag;
        },
        () -> now);
  }

  /** Emits while there is room; returns how many. */
  private int emitAll(SamplingPace pace, int most) {
    for (int i = 0; i < most; i++) {
      if (!pace.hasRoom(0) && pace.isLookWanted()) {
        pace.look();
      }
      if (!pace.hasRoom(0)) {
        return i;
      }
      pace.emitted();
    }
    return most;
  }

  /** PPO publishes a version, and sampling turns to it. */
  private static void publish(SamplingPace pace, long consumed) {
    pace.announced("v" + consumed, consumed);
    pace.using("v" + consumed);
  }

  @Test
  void withoutPpoThereIsNoLimit() {
    assertEquals(1000, emitAll(pace(2, 1), 1000));
  }

  @Test
  void noAnswerIsNoLimit() {
    lag = null;
    assertEquals(1000, emitAll(pace(2, 1), 1000));
  }

  /** Version v uses rollouts of version v - s to v: a rollout never waits for longer. */
  @Test
  void noRolloutIsTooStaleWhenItsTurnComes() {
    for (long staleness = 0; staleness < 4; staleness++) {
      lag = OptionalLong.of(0);
      SamplingPace pace = pace(staleness, 1);
      int emitted = emitAll(pace, 1000);
      for (int version = 1; version < 50; version++) {
        assertTrue(emitted >= version * PER_VERSION, "PPO has a whole batch");
        publish(pace, (long) version * PER_VERSION);
        emitted += emitAll(pace, 1000);
        int turn = (emitted - 1) / PER_VERSION;
        assertTrue(turn - version <= staleness, "staleness " + (turn - version));
      }
    }
  }

  @Test
  void subtasksShareTheLimit() {
    lag = OptionalLong.of(0);
    SamplingPace pace = pace(4, 3);
    assertEquals(15, emitAll(pace, 1000));
    publish(pace, 30);
    assertEquals(10, emitAll(pace, 1000));
  }

  @Test
  void responsesInFlightCount() {
    lag = OptionalLong.of(0);
    SamplingPace pace = pace(0, 1);
    assertTrue(pace.hasRoom(9));
    assertFalse(pace.hasRoom(10));
  }

  /** Refused rollouts are in no count of PPO's; without relief both jobs would wait forever. */
  @Test
  void aStarvingPpoGetsMore() {
    lag = OptionalLong.of(1);
    SamplingPace pace = pace(0, 1);
    assertEquals(10, emitAll(pace, 1000));
    now += TimeUnit.MINUTES.toNanos(1);
    assertEquals(10, emitAll(pace, 1000));
    assertEquals(1, pace.relieved());
    assertEquals(0, emitAll(pace, 1000), "once a minute");
  }

  @Test
  void aStoppedPpoGetsNoMore() {
    lag = OptionalLong.of(100);
    SamplingPace pace = pace(0, 1);
    assertEquals(10, emitAll(pace, 1000));
    now += TimeUnit.DAYS.toNanos(1);
    assertEquals(0, emitAll(pace, 1000));
  }

  @Test
  void aNewRunOfPpoFreesNothing() {
    lag = OptionalLong.of(0);
    SamplingPace pace = pace(4, 1);
    assertEquals(45, emitAll(pace, 1000));
    publish(pace, 20);
    assertEquals(20, emitAll(pace, 1000));
    publish(pace, 10);
    assertEquals(0, emitAll(pace, 1000));
    publish(pace, 20);
    assertEquals(10, emitAll(pace, 1000));
  }

  /** Until then responses have an older version, and count as of that one. */
  @Test
  void aVersionMakesRoomOnceResponsesBeginWithIt() {
    lag = OptionalLong.of(0);
    SamplingPace pace = pace(0, 1);
    assertEquals(10, emitAll(pace, 1000));
    pace.announced("next", 10);
    pace.using("initial");
    assertEquals(0, emitAll(pace, 1000));
    SamplingPace restored = pace(0, 1);
    restored.restore(pace.state().waiting(), pace.state().consumed());
    assertEquals(10, emitAll(restored, 1000));
    pace.using("next");
    assertEquals(10, emitAll(pace, 1000));
  }

  @Test
  void theStateGoesOn() {
    lag = OptionalLong.of(0);
    SamplingPace pace = pace(4, 1);
    int first = emitAll(pace, 1000);
    publish(pace, 20);
    SamplingPace restored = pace(4, 1);
    restored.restore(pace.state().waiting(), pace.state().consumed());
    assertEquals(20, emitAll(restored, 1000));
    publish(restored, 30);
    assertEquals(10, emitAll(restored, 1000));
    assertEquals(45, first);
  }
}

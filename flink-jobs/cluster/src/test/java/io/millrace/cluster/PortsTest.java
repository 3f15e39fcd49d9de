package io.millrace.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PortsTest {

  private static final Ports.Wanted FREE =
      new Ports.Wanted(OptionalInt.of(0), OptionalInt.of(0), OptionalInt.of(0), OptionalInt.of(0));
  private static final Ports.Wanted AS_BEFORE =
      new Ports.Wanted(
          OptionalInt.empty(), OptionalInt.empty(), OptionalInt.empty(), OptionalInt.empty());

  @Test
  void aLaterStartTakesTheSamePorts(@TempDir Path root) throws Exception {
    ClusterDirectory directory = new ClusterDirectory(root);
    assertEquals(Optional.empty(), directory.ports());
    Ports first = FREE.choose(null, 2);
    assertEquals(3, first.metrics().size());
    directory.write(first);
    assertEquals(first, AS_BEFORE.choose(directory.ports().orElseThrow(), 2));
    // A script gives the same options each time; resumed jobs look for Kafka where it was.
    assertEquals(first, FREE.choose(first, 2));
    // One more TaskManager, one more port.
    assertEquals(first.metrics(), AS_BEFORE.choose(first, 3).metrics().subList(0, 3));
  }

  @Test
  void aPortOfTheLastStartThatAnotherProgramTookIsReplacedOrReported() throws Exception {
    Ports first = FREE.choose(null, 1);
    try (ServerSocket taken = new ServerSocket(first.rest(), 1, InetAddress.getLoopbackAddress())) {
      Ports other = FREE.choose(first, 1);
      assertNotEquals(taken.getLocalPort(), other.rest());
      assertEquals(first.kafka(), other.kafka());
      String message =
          assertThrows(IOException.class, () -> AS_BEFORE.choose(first, 1)).getMessage();
      assertTrue(
          message.startsWith("--rest-port must be a free port, not %d (".formatted(first.rest())),
          message);
    }
  }

  @Test
  void aPortThatIsAboutToBeReleasedIsWaitedFor() throws Exception {
    Ports first = FREE.choose(null, 1);
    try (ExecutorService waiter = Executors.newSingleThreadExecutor()) {
      Future<Ports> same;
      try (ServerSocket taken =
          new ServerSocket(first.kafka(), 1, InetAddress.getLoopbackAddress())) {
        assertTrue(taken.isBound());
        same = waiter.submit(() -> FREE.choose(first, 1));
        assertFalse(same.isDone());
      }
      assertEquals(first, same.get(20, TimeUnit.SECONDS));
    }
  }

  @Test
  void aTakenPortIsReportedWithItsOption() throws Exception {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      int port = taken.getLocalPort();
      Ports.Wanted wanted =
          new Ports.Wanted(
              OptionalInt.of(0), OptionalInt.of(port), OptionalInt.of(0), OptionalInt.of(0));
      String message = assertThrows(IOException.class, () -> wanted.choose(null, 1)).getMessage();
      assertTrue(
          message.startsWith("--kafka-port must be a free port, not %d (".formatted(port)),
          message);
      assertTrue(message.endsWith("free it, or give the number of another one"), message);
    }
  }

  @Test
  void metricsPortsEndAtTheHighestPort() {
    Ports.Wanted wanted =
        new Ports.Wanted(
            OptionalInt.of(0), OptionalInt.of(0), OptionalInt.of(0), OptionalInt.of(65_534));
    String message = assertThrows(IOException.class, () -> wanted.choose(null, 2)).getMessage();
    assertEquals("--metrics-port must be at most 65533 for 2 TaskManagers, not 65534", message);
  }
}

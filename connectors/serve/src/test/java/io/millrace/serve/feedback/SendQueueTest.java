package io.millrace.serve.feedback;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.serve.feedback.SendQueue.Item;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class SendQueueTest {

  private static Item item(String id, int bytes) {
    return new Item(id, new byte[10], new byte[bytes]);
  }

  @Test
  void itHoldsSoManyBytesWhateverTheNumberOfRecords() throws InterruptedException {
    SendQueue queue = new SendQueue(10_000);
    assertTrue(queue.offer(item("a", 6_000)));
    assertFalse(queue.offer(item("b", 4_000)), "key and overhead count too");
    assertTrue(queue.offer(item("c", 3_000)), "a refused record leaves its room");
    assertEquals("a", queue.poll(1, TimeUnit.SECONDS).id());
    assertTrue(queue.offer(item("d", 6_000)));
    assertEquals("c", queue.poll(1, TimeUnit.SECONDS).id());
    assertEquals("d", queue.poll(1, TimeUnit.SECONDS).id());
    assertTrue(queue.isEmpty());
    assertNull(queue.poll(1, TimeUnit.MILLISECONDS));
    int small = 0;
    while (queue.offer(item("small", 0))) {
      small++;
    }
    assertEquals(10_000 / 210, small);
  }
}

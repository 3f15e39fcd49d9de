package io.millrace.serve.feedback;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/** Encoded records on their way to Kafka, at most so many bytes. */
final class SendQueue {

  /** Memory of an entry beside its bytes. */
  private static final int OVERHEAD = 200;

  private final long most;
  private final BlockingQueue<Item> items = new LinkedBlockingQueue<>();
  private final AtomicLong bytes = new AtomicLong();

  /**
   * @param most bytes of all records together
   */
  SendQueue(long most) {
    this.most = most;
  }

  /**
   * A record.
   *
   * @param id for messages
   */
  record Item(String id, byte[] key, byte[] value) {
    private long size() {
      return OVERHEAD + (long) key.length + value.length;
    }
  }

  /** Takes a record; false if there is no room for it. */
  boolean offer(Item item) {
    if (bytes.addAndGet(item.size()) > most) {
      bytes.addAndGet(-item.size());
      return false;
    }
    items.add(item);
    return true;
  }

  /** The next record; null if none comes within the time. */
  Item poll(long timeout, TimeUnit unit) throws InterruptedException {
    Item item = items.poll(timeout, unit);
    if (item != null) {
      bytes.addAndGet(-item.size());
    }
    return item;
  }

  boolean isEmpty() {
    return items.isEmpty();
  }
}

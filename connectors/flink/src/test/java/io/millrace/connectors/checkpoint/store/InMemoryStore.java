package io.millrace.connectors.checkpoint.store;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Objects by key, in this process. Any request for them can be made to fail. Flink reaches a store
 * by its URI through {@link InMemoryFileSystem}.
 */
public final class InMemoryStore {
  private static final Map<String, InMemoryStore> STORES = new ConcurrentHashMap<>();
  private static final AtomicInteger NAMES = new AtomicInteger();
  private static final long WRITTEN_AT_MILLIS = 1_000;

  /** How a request fails. */
  public enum Fault {
    /** The request has no effect, and all later ones fail: the process died. */
    CRASH_BEFORE,
    /** The request takes effect, but it and all later ones fail: the process died. */
    CRASH_AFTER,
    /** The request has no effect; the next one works. */
    ERROR_BEFORE,
    /** The request takes effect, but its response is an error; the next one works. */
    ERROR_AFTER
  }

  /** Sees all objects after every change. */
  interface Observer {
    void changed(SortedMap<String, byte[]> objects);
  }

  /** An object's content, and its time in milliseconds since 1970. */
  record Stored(byte[] content, long modified) {}

  private final URI uri;
  private final TreeMap<String, Stored> objects = new TreeMap<>();
  private Observer observer = _ -> {};
  private Fault fault = Fault.ERROR_BEFORE;
  private int untilFault = Integer.MAX_VALUE;
  private boolean dead;
  private boolean hit;
  private int reads;

  private InMemoryStore(URI uri) {
    this.uri = uri;
  }

  /** The URI of a new object store, which renames no directories. */
  static String freshObjects() {
    return "mem://store" + NAMES.incrementAndGet();
  }

  /** The URI of a new file system that renames a directory in one step. */
  static String freshDirectories() {
    return "hdfs://store" + NAMES.incrementAndGet();
  }

  /** The store of a URI. */
  public static InMemoryStore of(String uri) {
    URI parsed = URI.create(uri);
    return STORES.computeIfAbsent(
        parsed.getScheme() + "://" + parsed.getAuthority(), _ -> new InMemoryStore(parsed));
  }

  URI uri() {
    return uri;
  }

  synchronized void observe(Observer newObserver) {
    observer = newObserver;
  }

  /**
   * Makes a request fail.
   *
   * @param request its number from now on; 0 is the next request
   */
  public synchronized void fail(int request, Fault how) {
    untilFault = request;
    fault = how;
    dead = false;
    hit = false;
  }

  /**
   * Makes all requests work again.
   *
   * @return whether a request has failed since {@link #fail}
   */
  public synchronized boolean mend() {
    untilFault = Integer.MAX_VALUE;
    dead = false;
    return hit;
  }

  /** All keys in the store, in order. */
  synchronized List<String> keys() {
    return List.copyOf(objects.keySet());
  }

  synchronized String text(String key) {
    return new String(objects.get(key).content(), StandardCharsets.UTF_8);
  }

  synchronized void put(String key, String text) {
    objects.put(key, stored(text.getBytes(StandardCharsets.UTF_8)));
  }

  /** Sets the time of an object. */
  synchronized void touch(String key, long millis) {
    objects.put(key, new Stored(objects.get(key).content(), millis));
  }

  /** The number of objects that were read so far. */
  synchronized int reads() {
    return reads;
  }

  synchronized void countRead() {
    reads++;
  }

  /** A new object. All have the same time, unless {@link #touch} changes it. */
  static Stored stored(byte[] content) {
    return new Stored(content, WRITTEN_AT_MILLIS);
  }

  /** The effect of a request on the objects. */
  @FunctionalInterface
  interface Effect<T> {
    T apply(TreeMap<String, Stored> objects) throws IOException;
  }

  /** Runs a request, or makes it fail. */
  synchronized <T> T request(Effect<T> effect) throws IOException {
    if (dead) {
      throw new UncheckedIOException(new IOException("the process is dead"));
    }
    if (untilFault-- == 0) {
      hit = true;
      dead = fault == Fault.CRASH_BEFORE || fault == Fault.CRASH_AFTER;
      if (fault == Fault.CRASH_AFTER || fault == Fault.ERROR_AFTER) {
        effect.apply(objects);
        notifyObserver();
      }
      // Clients of object stores throw unchecked exceptions too.
      throw new UncheckedIOException(new IOException("induced " + fault));
    }
    T result = effect.apply(objects);
    notifyObserver();
    return result;
  }

  private void notifyObserver() {
    TreeMap<String, byte[]> contents = new TreeMap<>();
    objects.forEach((key, stored) -> contents.put(key, stored.content()));
    observer.changed(contents);
  }
}

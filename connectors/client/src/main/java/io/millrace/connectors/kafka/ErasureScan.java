package io.millrace.connectors.kafka;

import io.millrace.schemas.Topic;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * What {@link RecordEraser#scan} found in a topic: the places of the records that are to go, and
 * what compaction would do to the others.
 */
public final class ErasureScan {

  /** Beyond this many keys, repeated keys are not counted further. */
  private static final int MOST_KEYS = 2_000_000;

  /** A record: its place, and its key. */
  record Match(int partition, long offset, byte[] key) {}

  private final Topic<?> topic;
  private final String name;
  private final Map<Integer, List<Match>> matches = new TreeMap<>();
  private final Set<Long> otherKeys = new HashSet<>();
  private long records;
  private long matching;
  private long keyless;
  private long repeated;

  ErasureScan(Topic<?> topic, String name) {
    this.topic = topic;
    this.name = name;
  }

  void add(ConsumerRecord<byte[], byte[]> record, boolean matches) {
    records++;
    if (record.key() == null) {
      keyless++;
    }
    if (matches) {
      matching++;
      if (record.key() != null) {
        this.matches
            .computeIfAbsent(record.partition(), partition -> new ArrayList<>())
            .add(new Match(record.partition(), record.offset(), record.key()));
      }
    } else if (record.key() != null && otherKeys.size() < MOST_KEYS) {
      if (!otherKeys.add(hash(record.partition(), record.key()))) {
        repeated++;
      }
    }
  }

  private static long hash(int partition, byte[] key) {
    // FNV-1a, 64 bits.
    long hash = 0xcbf29ce484222325L ^ partition;
    for (byte one : key) {
      hash = (hash ^ (one & 0xFF)) * 0x100000001b3L;
    }
    return hash;
  }

  public Topic<?> topic() {
    return topic;
  }

  /** The topic's full name. */
  public String name() {
    return name;
  }

  /** All records of the topic, without tombstones. */
  public long records() {
    return records;
  }

  /** The records that are to go. */
  public long matching() {
    return matching;
  }

  /** Records without a key, which compaction drops. */
  public long keyless() {
    return keyless;
  }

  /**
   * Other records that compaction drops: a later record has the same key, or one that is to go has
   * it. At least so many, in a topic of more than two million keys.
   */
  public long alsoDropped() {
    Set<Long> gone = new HashSet<>();
    matches.values().stream()
        .flatMap(List::stream)
        .map(match -> hash(match.partition(), match.key()))
        .filter(otherKeys::contains)
        .forEach(gone::add);
    return repeated + gone.size();
  }

  /** The records that are to go, by partition, in the order of their offsets. */
  Map<Integer, List<Match>> matches() {
    return matches;
  }

  /** The keys of the records that are to go, each once, by partition. */
  Map<Integer, List<byte[]>> keys() {
    Map<Integer, List<byte[]>> keys = new TreeMap<>();
    matches.forEach(
        (partition, found) -> {
          Map<ByteBuffer, byte[]> distinct = new LinkedHashMap<>();
          found.forEach(match -> distinct.putIfAbsent(ByteBuffer.wrap(match.key()), match.key()));
          keys.put(partition, List.copyOf(distinct.values()));
        });
    return keys;
  }
}

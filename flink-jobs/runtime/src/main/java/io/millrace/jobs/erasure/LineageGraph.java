package io.millrace.jobs.erasure;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.jobs.models.AnnouncementCheck;
import io.millrace.schemas.Lineage;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/** Which published versions have learned from some records, from the topic {@code lineage}. */
public final class LineageGraph {

  /** A published version. */
  public record Version(String model, long number) implements Comparable<Version> {
    @Override
    public int compareTo(Version other) {
      return Comparator.comparing(Version::model)
          .thenComparingLong(Version::number)
          .compare(this, other);
    }

    @Override
    public String toString() {
      return model + " version " + number;
    }
  }

  /** How a version has come to learn from the records. */
  public enum Relation {
    /** It learned from a record itself. */
    LEARNED,
    /** Its training started from a version that has. */
    DESCENDS,
    /** A reward model that has scored what it learned from. */
    SCORED
  }

  /**
   * A version that has learned from the records.
   *
   * @param via the version that passed it on; empty for {@link Relation#LEARNED}
   * @param records of the wanted ones that it learned from itself
   */
  public record Affected(Version version, Relation relation, Optional<Version> via, int records) {}

  private static final class Node {
    private Version parent;
    private long omitted;
    private final Set<String> wanted = new TreeSet<>();
    private final Set<Version> scoredBy = new TreeSet<>();
  }

  private final Map<Version, Node> nodes = new TreeMap<>();

  private LineageGraph() {}

  /**
   * Reads the topic. Of the ids it keeps the wanted ones only.
   *
   * @param wanted ids of judgments, demonstrations and prompts
   */
  static LineageGraph read(KafkaSettings kafka, Collection<String> wanted) throws IOException {
    LineageGraph graph = new LineageGraph();
    try (RecordReader<Lineage> reader = RecordReader.fromEarliest(kafka, Topic.LINEAGE)) {
      long _ =
          reader.readToEnd(entry -> entry.record().ifPresent(record -> graph.add(record, wanted)));
    }
    return graph;
  }

  static LineageGraph of(Collection<Lineage> records, Collection<String> wanted) {
    LineageGraph graph = new LineageGraph();
    records.forEach(record -> graph.add(record, wanted));
    return graph;
  }

  private void add(Lineage record, Collection<String> wanted) {
    Node node =
        nodes.computeIfAbsent(
            new Version(record.getModel(), record.getVersion()), version -> new Node());
    node.parent =
        record.getParent() == 0 ? null : new Version(record.getParentModel(), record.getParent());
    node.omitted = record.getOmitted();
    for (String id : record.getIds()) {
      if (wanted.contains(id)) {
        node.wanted.add(id);
      }
    }
    addScorers(node, Objective.HELPFULNESS, record.getHelpfulnessVersions());
    addScorers(node, Objective.SAFETY, record.getSafetyVersions());
  }

  private static void addScorers(Node node, Objective objective, List<Long> versions) {
    for (long version : versions) {
      node.scoredBy.add(new Version(AnnouncementCheck.rewardModelName(objective), version));
    }
  }

  /** Versions of which the topic has anything. */
  public int versions() {
    return nodes.size();
  }

  /** The versions that have learned from the wanted records, by model and number. */
  List<Affected> affected() {
    Map<Version, Affected> found = new TreeMap<>();
    Queue<Version> open = new ArrayDeque<>();
    nodes.forEach(
        (version, node) -> {
          if (!node.wanted.isEmpty()) {
            found.put(
                version,
                new Affected(version, Relation.LEARNED, Optional.empty(), node.wanted.size()));
            open.add(version);
          }
        });
    // Breadth first: each version names the shortest way.
    while (!open.isEmpty()) {
      Version from = open.remove();
      nodes.forEach(
          (version, node) -> {
            Optional<Relation> relation = relation(node, from);
            if (relation.isPresent() && !found.containsKey(version)) {
              found.put(version, new Affected(version, relation.get(), Optional.of(from), 0));
              open.add(version);
            }
          });
    }
    return List.copyOf(found.values());
  }

  private static Optional<Relation> relation(Node node, Version from) {
    if (node.scoredBy.contains(from)) {
      return Optional.of(Relation.SCORED);
    }
    return from.equals(node.parent) ? Optional.of(Relation.DESCENDS) : Optional.empty();
  }

  /** Versions that learned from records whose ids are not listed, with their number. */
  public Map<Version, Long> incomplete() {
    Map<Version, Long> incomplete = new TreeMap<>();
    nodes.forEach(
        (version, node) -> {
          if (node.omitted > 0) {
            incomplete.put(version, node.omitted);
          }
        });
    return incomplete;
  }
}

package io.millrace.jobs.erasure;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.erasure.LineageGraph.Affected;
import io.millrace.jobs.erasure.LineageGraph.Version;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.schemas.Plural;
import io.millrace.schemas.Printable;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.io.PrintStream;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** Versions that have learned from records: which of them are served, and which are on disk. */
public final class AffectedVersions {

  private final LineageGraph graph;
  private final List<Affected> affected;
  private final CheckpointStore store;
  private final Set<Version> onDisk = new HashSet<>();
  private final Map<String, Promotion> promotions = new HashMap<>();

  private AffectedVersions(LineageGraph graph, CheckpointStore store) {
    this.graph = graph;
    this.affected = graph.affected();
    this.store = store;
  }

  /**
   * Reads lineage, promotions and the store.
   *
   * @param ids of judgments, demonstrations and prompts
   */
  public static AffectedVersions of(MillraceConfig config, Collection<String> ids)
      throws IOException {
    KafkaSettings kafka = JobSettings.kafka(config);
    AffectedVersions versions =
        new AffectedVersions(LineageGraph.read(kafka, ids), JobSettings.store(config));
    for (Affected one : versions.affected) {
      if (versions.store.versions(one.version().model()).contains(one.version().number())) {
        versions.onDisk.add(one.version());
      }
    }
    try (RecordReader<Promotion> reader = RecordReader.fromEarliest(kafka, Topic.PROMOTIONS)) {
      long _ =
          reader.readToEnd(
              entry ->
                  entry
                      .record()
                      .ifPresent(record -> versions.promotions.put(record.getModel(), record)));
    }
    return versions;
  }

  public boolean isEmpty() {
    return affected.isEmpty();
  }

  public LineageGraph graph() {
    return graph;
  }

  /** Prints a table of the versions. */
  public void print(PrintStream out) {
    out.printf("%-28s %8s  %-11s %-9s %s%n", "model", "version", "on disk", "served", "because");
    for (Affected one : affected) {
      out.printf(
          "%-28s %8d  %-11s %-9s %s%n",
          Printable.line(one.version().model()),
          one.version().number(),
          onDisk.contains(one.version()) ? "yes" : "no",
          promotion(one.version()),
          Printable.line(reason(one)));
    }
    graph
        .incomplete()
        .forEach(
            (version, count) ->
                out.printf(
                    "%s may have learned from it, too: the ids of %s are not listed%n",
                    Printable.line(version.toString()), Plural.of(count, "record")));
  }

  private static String reason(Affected one) {
    return switch (one.relation()) {
      case LEARNED -> "learned from " + Plural.of(one.records(), "record");
      case DESCENDS -> "training started from " + one.via().orElseThrow();
      case SCORED -> "learned from scores of " + one.via().orElseThrow();
    };
  }

  /** What the gate or a person said last about the version. */
  private String promotion(Version version) {
    Promotion promotion = promotions.get(version.model());
    if (promotion == null) {
      return "-";
    }
    if (promotion.getVersion() == version.number()) {
      return "now";
    }
    if (promotion.getBefore() == version.number()) {
      return "before";
    }
    return promotion.getBest() == version.number() ? "best" : "-";
  }

  public ArrayNode json() {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    for (Affected one : affected) {
      ObjectNode node = array.addObject();
      node.put("model", one.version().model());
      node.put("version", one.version().number());
      node.put("relation", one.relation().name().toLowerCase(Locale.ROOT));
      one.via()
          .ifPresent(
              via -> node.putObject("via").put("model", via.model()).put("version", via.number()));
      node.put("records", one.records());
      node.put("onDisk", onDisk.contains(one.version()));
      node.put("uri", store.uri(one.version().model(), one.version().number()));
      node.put("served", promotion(one.version()));
    }
    return array;
  }

  /** Versions whose ids are not all listed. */
  public ArrayNode incompleteJson() {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    graph
        .incomplete()
        .forEach(
            (version, count) ->
                array
                    .addObject()
                    .put("model", version.model())
                    .put("version", version.number())
                    .put("omitted", count));
    return array;
  }
}

package io.millrace.jobs.models;

import io.millrace.schemas.Lineage;
import io.millrace.schemas.Topic;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;

/**
 * The ids of the records that a trainer learned from since the last version that it published. They
 * are part of its state, and leave with the version as records of the topic {@code lineage}.
 *
 * <p>At most {@link #MOST_IDS} ids are kept. Ids beyond that are counted.
 */
public final class LearnedRecords {

  /** Most ids of a version: some 5 MB of state with ids of 36 characters. */
  public static final int MOST_IDS = 100_000;

  /** Most bytes of ids in a part: half of the smallest {@code kafka.max-record-size}. */
  private static final int PART_BYTES = 32 << 10;

  private final String model;
  private final Topic<?> topic;
  private final int mostIds;
  private final Set<String> ids = new LinkedHashSet<>();
  private final SortedSet<Long> helpfulness = new TreeSet<>();
  private final SortedSet<Long> safety = new TreeSet<>();
  private long omitted;
  private String parentModel = "";
  private long parent;

  /**
   * @param model name of the model that learns
   * @param topic of the records that it learns from
   */
  public LearnedRecords(String model, Topic<?> topic) {
    this(model, topic, MOST_IDS);
  }

  LearnedRecords(String model, Topic<?> topic, int mostIds) {
    this.model = model;
    this.topic = topic;
    this.mostIds = mostIds;
  }

  /** Training started from a published version; version 0 stands for any other directory. */
  public void startFrom(String startModel, long version) {
    parentModel = version == 0 ? "" : startModel;
    parent = version;
  }

  /** The model learned from a record. */
  public void add(String id) {
    if (ids.size() < mostIds) {
      ids.add(id);
    } else if (!ids.contains(id)) {
      omitted++;
    }
  }

  /** The model learned from a record whose id is not known, as in states of earlier builds. */
  public void addUnknown() {
    omitted++;
  }

  /** Reward models of these versions scored what the model learned from. */
  public void scoredBy(long helpfulnessVersion, long safetyVersion) {
    helpfulness.add(helpfulnessVersion);
    safety.add(safetyVersion);
  }

  /**
   * What a version learned from. Training goes on from this version.
   *
   * @return at least one part
   */
  public List<Lineage> publish(long version, Instant time) {
    List<List<String>> parts = parts();
    List<Lineage> records = new ArrayList<>();
    for (List<String> part : parts) {
      records.add(
          Lineage.newBuilder()
              .setModel(model)
              .setVersion(version)
              .setPart(records.size())
              .setParentModel(parentModel)
              .setParent(parent)
              .setTopic(topic.name())
              .setIds(part)
              .setOmitted(omitted)
              .setHelpfulnessVersions(List.copyOf(helpfulness))
              .setSafetyVersions(List.copyOf(safety))
              .setTime(time)
              .build());
    }
    clear();
    startFrom(model, version);
    return records;
  }

  /**
   * What a version learned from in several topics. The parts of a version have different numbers,
   * whatever their topic.
   */
  public static List<Lineage> publish(List<LearnedRecords> topics, long version, Instant time) {
    List<Lineage> parts = new ArrayList<>();
    for (LearnedRecords topic : topics) {
      int first = parts.size();
      for (Lineage part : topic.publish(version, time)) {
        part.setPart(first + part.getPart());
        parts.add(part);
      }
    }
    return parts;
  }

  private List<List<String>> parts() {
    List<List<String>> parts = new ArrayList<>();
    parts.add(new ArrayList<>());
    int bytes = 0;
    for (String id : ids) {
      int size = id.getBytes(StandardCharsets.UTF_8).length;
      if (bytes > 0 && bytes + size > PART_BYTES) {
        parts.add(new ArrayList<>());
        bytes = 0;
      }
      parts.getLast().add(id);
      bytes += size;
    }
    return parts;
  }

  private void clear() {
    ids.clear();
    helpfulness.clear();
    safety.clear();
    omitted = 0;
  }

  public record State(
      String parentModel,
      long parent,
      List<String> ids,
      long omitted,
      List<Long> helpfulness,
      List<Long> safety) {}

  public State state() {
    return new State(
        parentModel,
        parent,
        List.copyOf(ids),
        omitted,
        List.copyOf(helpfulness),
        List.copyOf(safety));
  }

  /**
   * Restores a state.
   *
   * @param state null in states of earlier builds, which kept no ids
   * @param published the last version that this run has published; 0 for none
   * @param unlisted records learned from since then; they are omitted if the state is null
   */
  public void restore(State state, long published, long unlisted) {
    clear();
    if (state == null) {
      if (published > 0) {
        startFrom(model, published);
      }
      omitted = unlisted;
      return;
    }
    parentModel = state.parentModel();
    parent = state.parent();
    ids.addAll(state.ids());
    omitted = state.omitted();
    helpfulness.addAll(state.helpfulness());
    safety.addAll(state.safety());
  }
}

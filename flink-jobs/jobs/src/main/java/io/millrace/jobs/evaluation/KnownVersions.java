package io.millrace.jobs.evaluation;

import io.millrace.jobs.evaluation.VersionVerdicts.Rivals;
import io.millrace.jobs.models.ModelRef;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The versions that later versions are compared with: the first, the best and promoted ones. */
final class KnownVersions {

  private final TreeMap<Long, EvaluatedVersion> versions = new TreeMap<>();

  /** All of them by number. */
  Map<Long, EvaluatedVersion> all() {
    return Collections.unmodifiableMap(versions);
  }

  EvaluatedVersion get(long version) {
    return versions.get(version);
  }

  boolean contains(long version) {
    return versions.containsKey(version);
  }

  /** Adds a version whose responses are not sampled yet, unless it is known. */
  void add(ModelRef version) {
    versions.putIfAbsent(version.version(), new EvaluatedVersion(version));
  }

  /** Whether a version is known, and the store has not deleted it. */
  boolean isUsable(long version) {
    return versions.containsKey(version) && !versions.get(version).model().isRetired();
  }

  /**
   * The versions to compare a version with: the served, the first and the best one.
   *
   * @param announcedFirst the version that was announced first; the oldest known one takes its
   *     place if it was deleted
   */
  Rivals rivals(EvaluatedVersion subject, PromotionChain chain, long announcedFirst) {
    Optional<Long> first =
        isUsable(announcedFirst)
            ? Optional.of(announcedFirst)
            : versions.keySet().stream().filter(this::isUsable).findFirst();
    return new Rivals(
        chain.rival(subject.version()).map(ModelRef::version),
        first.filter(one -> one != subject.version()),
        chain.best().map(ModelRef::version).filter(best -> best != subject.version()));
  }

  /** The rivals that can answer prompts, in order. */
  Set<Long> usable(Rivals rivals) {
    return Stream.of(rivals.promoted(), rivals.first(), rivals.best())
        .flatMap(Optional::stream)
        .filter(this::isUsable)
        .collect(Collectors.toCollection(TreeSet::new));
  }

  /** Keeps a version for later comparisons, and drops versions that are not needed any more. */
  void keep(EvaluatedVersion subject, PromotionChain chain, long announcedFirst) {
    versions.put(subject.version(), subject);
    long first = versions.containsKey(announcedFirst) ? announcedFirst : versions.firstKey();
    versions.keySet().removeIf(version -> version != first && !chain.needs(version));
  }

  List<EvaluatedVersion.State> state() {
    return versions.values().stream().map(EvaluatedVersion::state).toList();
  }

  void restore(List<EvaluatedVersion.State> states) {
    states.stream().map(EvaluatedVersion::of).forEach(one -> versions.put(one.version(), one));
  }
}

package io.millrace.jobs.evaluation;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.jobs.evaluation.EvaluatedVersion.Version;
import io.millrace.model.training.StateIo;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Verdict;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The version that is served, and those served before it that one can go back to. */
final class PromotionChain {

  /** Versions kept, the served one included. */
  private static final int LENGTH = 4;

  private final List<Version> served;

  /** The highest version that a verdict was given on before this run; 0 for none. */
  private final long judged;

  private PromotionChain(List<Version> served, long judged) {
    this.served = served;
    this.judged = judged;
  }

  static PromotionChain empty() {
    return new PromotionChain(new ArrayList<>(), 0);
  }

  /**
   * What earlier runs said, so that a new one goes on from there and serving is not set back. Of a
   * topic that was compacted the last verdict is left.
   */
  static PromotionChain of(KafkaSettings kafka, String model) throws IOException {
    List<Promotion> records = new ArrayList<>();
    try (RecordReader<Promotion> reader = RecordReader.fromEarliest(kafka, Topic.PROMOTIONS)) {
      reader.readToEnd(
          entry ->
              entry
                  .record()
                  .filter(record -> record.getModel().equals(model))
                  .ifPresent(records::add));
    }
    return of(records);
  }

  static PromotionChain of(List<Promotion> records) {
    PromotionChain chain = empty();
    long judged = 0;
    for (Promotion record : records) {
      judged = Math.max(judged, record.getEvaluated());
      if (record.getVersion() == 0) {
        continue;
      }
      Version version =
          new Version(record.getVersion(), record.getUri(), record.getManifestSha256());
      if (record.getVerdict() == Verdict.ROLL_BACK) {
        while (chain.current().isPresent() && !chain.isServed(version.number())) {
          chain.served.removeLast();
        }
      }
      if (!chain.isServed(version.number())) {
        chain.promote(version);
      }
    }
    return new PromotionChain(chain.served, judged);
  }

  private boolean isServed(long version) {
    return current().filter(current -> current.number() == version).isPresent();
  }

  void promote(Version version) {
    served.addLast(version);
    if (served.size() > LENGTH) {
      served.removeFirst();
    }
  }

  /** The version to serve. */
  Optional<Version> current() {
    return served.isEmpty() ? Optional.empty() : Optional.of(served.getLast());
  }

  /** The one served before it. */
  Optional<Version> before() {
    return served.size() < 2 ? Optional.empty() : Optional.of(served.get(served.size() - 2));
  }

  /** Goes back to the version before. */
  void rollBack() {
    served.removeLast();
  }

  /** A version that is gone. */
  void forget(long version) {
    served.removeIf(one -> one.number() == version);
  }

  /** All of them, the served one last. */
  List<Version> versions() {
    return List.copyOf(served);
  }

  boolean contains(long version) {
    return served.stream().anyMatch(one -> one.number() == version);
  }

  long judged() {
    return judged;
  }

  void write(DataOutput out) throws IOException {
    StateIo.writeList(out, served, (stream, version) -> version.write(stream));
    out.writeLong(judged);
  }

  /** What {@link #write} wrote. */
  static PromotionChain read(DataInput in) throws IOException {
    return new PromotionChain(StateIo.readList(in, Version::read), in.readLong());
  }
}

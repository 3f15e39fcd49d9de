package io.millrace.connectors.exchange;

import io.millrace.schemas.Printable;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.Consumer;
import org.apache.avro.specific.SpecificRecordBase;

/** Passes records on, and reports refusals and progress line by line. */
public final class ReportingReceiver implements Import.Receiver {
  private static final Duration PROGRESS = Duration.ofSeconds(5);

  private final Sink sink;
  private final RefusedFile refusedFile;
  private final int mostReported;
  private final Consumer<String> notes;
  private long refusals;
  private long reported = System.nanoTime();

  /** Where records go. */
  @FunctionalInterface
  public interface Sink {
    <T extends SpecificRecordBase> void accept(Topic<T> topic, T record) throws IOException;
  }

  /**
   * @param refusedFile takes all refusals; null for none
   * @param mostReported so many refusals are reported
   * @param notes takes lines for people
   */
  public ReportingReceiver(
      Sink sink, RefusedFile refusedFile, int mostReported, Consumer<String> notes) {
    this.sink = sink;
    this.refusedFile = refusedFile;
    this.mostReported = mostReported;
    this.notes = notes;
  }

  @Override
  public <T extends SpecificRecordBase> void accept(Topic<T> topic, T record) throws IOException {
    sink.accept(topic, record);
  }

  @Override
  public void refused(Refusal refusal) throws IOException {
    if (refusedFile != null) {
      refusedFile.add(refusal);
    }
    refusals++;
    if (refusals <= mostReported) {
      notes.accept("millrace: " + Printable.line(refusal.toString()));
    } else if (refusals == mostReported + 1L) {
      notes.accept("millrace: further refused rows are counted; --refused FILE keeps them all");
    }
  }

  @Override
  public void progress(Path file, double share, ImportReport report) {
    if (System.nanoTime() - reported > PROGRESS.toNanos()) {
      reported = System.nanoTime();
      notes.accept("%s, %.0f %%: %s".formatted(file, share * 100, report));
    }
  }
}

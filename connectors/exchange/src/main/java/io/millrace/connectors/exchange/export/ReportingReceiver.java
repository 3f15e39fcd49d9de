package io.millrace.connectors.exchange.export;

import io.millrace.schemas.Printable;
import java.io.IOException;
import java.time.Duration;
import java.util.function.Consumer;

/** Writes lines, and reports progress and records that cannot be read. */
public final class ReportingReceiver implements Export.Receiver {
  private static final Duration PROGRESS = Duration.ofSeconds(5);

  private final Lines lines;
  private final Consumer<String> notes;
  private long reported = System.nanoTime();

  /** Where lines go. */
  @FunctionalInterface
  public interface Lines {
    void add(String line) throws IOException;
  }

  /**
   * @param notes takes lines for people
   */
  public ReportingReceiver(Lines lines, Consumer<String> notes) {
    this.lines = lines;
    this.notes = notes;
  }

  @Override
  public void line(String line) throws IOException {
    lines.add(line);
  }

  @Override
  public void unreadable(int partition, long offset, String problem) {
    notes.accept(
        "millrace: partition %d, offset %d: %s"
            .formatted(partition, offset, Printable.line(problem)));
  }

  @Override
  public void progress(long read, long of) {
    if (System.nanoTime() - reported > PROGRESS.toNanos()) {
      reported = System.nanoTime();
      notes.accept("%d of %d records".formatted(read, Math.max(read, of)));
    }
  }
}

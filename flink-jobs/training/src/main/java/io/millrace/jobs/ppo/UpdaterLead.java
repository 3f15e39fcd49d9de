package io.millrace.jobs.ppo;

import io.millrace.model.llama.ScalarModel;
import io.millrace.model.parallel.Link;
import io.millrace.model.parallel.Ranks;
import io.millrace.model.parallel.Rendezvous;
import io.millrace.model.parallel.StarRanks;
import io.millrace.model.ppo.PpoIteration;
import io.millrace.model.ppo.PpoRollout;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.runtime.taskmanager.TaskManagerRuntimeInfo;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The first updater's side of {@code ppo.updaters}: it has the other updaters keep a trainer in the
 * same state, and take the same steps at the same time.
 *
 * <p>The others do nothing of their own accord. When the first updater stands still before a
 * barrier, all of them stand still at the same step.
 */
final class UpdaterLead implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(UpdaterLead.class);

  private final StarRanks ranks;
  private final Rendezvous rendezvous;
  private final boolean sharded;
  private final Path temporary;

  /** The trainer's state as it was restored, of which this updater keeps only its part; or null. */
  private Path restored;

  private boolean started;

  /** Whether something was begun with the other updaters and did not end. */
  private boolean midway;

  // Of the iteration so far, or of all before it.
  private long stepNanos;
  private long exchangeNanosBefore;

  private UpdaterLead(StarRanks ranks, Rendezvous rendezvous, boolean sharded, Path temporary) {
    this.ranks = ranks;
    this.rendezvous = rendezvous;
    this.sharded = sharded;
    this.temporary = temporary;
  }

  /**
   * Takes connections where Flink takes those of other TaskManagers: on {@code
   * taskmanager.bind-host}, or on the TaskManager's own address.
   */
  static UpdaterLead open(PpoSection section, TaskManagerRuntimeInfo taskManager)
      throws IOException {
    String host = taskManager.getTaskManagerExternalAddress();
    String bound =
        taskManager.getConfiguration().getOptional(TaskManagerOptions.BIND_HOST).orElse(host);
    Duration patience = section.updaterTimeout();
    Rendezvous rendezvous =
        Rendezvous.open(bound, host, section.updaters(), patience, refusal -> LOG.warn(refusal));
    return new UpdaterLead(
        new StarRanks(0, section.updaters()),
        rendezvous,
        section.shardOptimizer(),
        Path.of(taskManager.getTmpDirectories()[0]));
  }

  UpdaterAddress address() {
    return UpdaterAddress.of(rendezvous.address());
  }

  Ranks ranks() {
    return ranks;
  }

  /**
   * Restores the trainer. Where each updater keeps a part of the moments, a file keeps the whole
   * state for the others, which are not there yet.
   */
  void read(PpoTrainer trainer, StateReader in) throws IOException {
    if (!sharded) {
      trainer.read(in);
      return;
    }
    forgetRestored();
    restored = Files.createTempFile(temporary, "millrace-updater-", ".state");
    try (OutputStream file = new BufferedOutputStream(Files.newOutputStream(restored))) {
      trainer.read(new StateReader(new DataInputStream(new Keeping(in.raw(), file))));
    }
  }

  /** Writes what is read to a file too. */
  private static final class Keeping extends FilterInputStream {
    private final OutputStream file;

    Keeping(InputStream in, OutputStream file) {
      super(in);
      this.file = file;
    }

    @Override
    public int read() throws IOException {
      int b = in.read();
      if (b >= 0) {
        file.write(b);
      }
      return b;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      int count = in.read(target, offset, length);
      if (count > 0) {
        file.write(target, offset, count);
      }
      return count;
    }
  }

  /** Has the other updaters begin a batch. */
  void begin(PpoTrainer trainer, List<PpoRollout> rollouts) throws IOException {
    midway = true;
    start(trainer);
    byte[] batch = StateWriter.toBytes(out -> out.write(new UpdaterCommand.Begin(rollouts)));
    for (Link link : ranks.links()) {
      UpdaterCommand.BEGIN.write(link.out());
      link.out().write(batch);
      link.out().flush();
    }
    midway = false;
  }

  /** Takes the next step, and has the other updaters take it too. */
  Optional<PpoIteration> step(PpoTrainer trainer) throws IOException {
    midway = true;
    start(trainer);
    command(UpdaterCommand.STEP);
    long begin = System.nanoTime();
    try {
      Optional<PpoIteration> done = trainer.step();
      midway = false;
      stepNanos += System.nanoTime() - begin;
      return done;
    } catch (UncheckedIOException e) {
      ranks.fail(e.getCause().toString());
      throw e.getCause();
    } catch (RuntimeException | Error e) {
      ranks.fail(e.toString());
      throw e;
    }
  }

  /**
   * Writes the trainer's state; the other updaters send the moments that they have. Called while
   * the trainer stands still.
   */
  void write(PpoTrainer trainer, StateWriter out) throws IOException {
    if (!sharded || (!started && restored == null)) {
      trainer.write(out);
      return;
    }
    midway = true;
    long before = ranks.exchangeNanos();
    start(trainer);
    command(UpdaterCommand.STATE);
    trainer.write(out);
    midway = false;
    // An iteration's exchanges are those of its steps.
    exchangeNanosBefore += ranks.exchangeNanos() - before;
  }

  /**
   * The metrics of an iteration that has ended: the share of its steps' time that this updater
   * spent in exchanges, waiting for the others included, and the bytes of all exchanges of this
   * attempt.
   */
  Map<String, Double> metrics() {
    double exchanges = ranks.exchangeNanos() - exchangeNanosBefore;
    double share = exchanges / Math.max(1, stepNanos);
    exchangeNanosBefore = ranks.exchangeNanos();
    stepNanos = 0;
    return Map.of(
        "updaters/exchange_share",
        share,
        "updaters/exchanged_bytes",
        (double) ranks.exchangedBytes());
  }

  /** Waits for the other updaters, and gives them the state of this one. */
  private void start(PpoTrainer trainer) throws IOException {
    if (started) {
      return;
    }
    connect();
    Optional<ScalarModel> critic =
        trainer.hasCritic() ? Optional.of(trainer.critic()) : Optional.empty();
    UpdaterCommand.Start start =
        new UpdaterCommand.Start(
            critic.map(model -> model.config().toJson()).orElse(null),
            critic.flatMap(ScalarModel::adapter).orElse(null));
    byte[] models = StateWriter.toBytes(out -> out.write(start));
    for (Link link : ranks.links()) {
      UpdaterCommand.START.write(link.out());
      link.out().write(models);
    }
    OutputStream toAll = new ToAll(ranks.links());
    if (restored == null) {
      trainer.write(new StateWriter(new DataOutputStream(toAll)));
    } else {
      Files.copy(restored, toAll);
      forgetRestored();
    }
    toAll.flush();
    started = true;
    LOG.info(
        "{} updaters learn together: rank 0 here, and {}",
        ranks.size(),
        ranks.links().stream().map(Link::peer).toList());
  }

  private void connect() throws IOException {
    if (!ranks.isConnected()) {
      try {
        ranks.connect(rendezvous.await());
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("interrupted while the other updaters connect", e);
      }
    }
  }

  private static final class ToAll extends OutputStream {
    private final List<Link> links;

    ToAll(List<Link> links) {
      this.links = links;
    }

    @Override
    public void write(int b) throws IOException {
      for (Link link : links) {
        link.out().write(b);
      }
    }

    @Override
    public void write(byte[] source, int offset, int length) throws IOException {
      for (Link link : links) {
        link.out().write(source, offset, length);
      }
    }

    @Override
    public void flush() throws IOException {
      for (Link link : links) {
        link.out().flush();
      }
    }
  }

  private void command(UpdaterCommand command) throws IOException {
    for (Link link : ranks.links()) {
      command.write(link.out());
      link.out().flush();
    }
  }

  private void forgetRestored() throws IOException {
    if (restored != null) {
      Files.deleteIfExists(restored);
      restored = null;
    }
  }

  /** The other updaters are let go, if they can still be reached. */
  @Override
  public void close() {
    if (!midway) {
      for (Link link : rendezvous.connected()) {
        try {
          UpdaterCommand.END.write(link.out());
          link.out().flush();
        } catch (IOException e) {
          LOG.debug("An updater was gone already", e);
        }
      }
    }
    ranks.close();
    rendezvous.close();
    try {
      forgetRestored();
    } catch (IOException e) {
      LOG.warn("The temporary file {} could not be deleted", restored, e);
    }
  }
}

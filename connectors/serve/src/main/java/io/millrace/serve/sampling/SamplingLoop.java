package io.millrace.serve.sampling;

import io.millrace.model.tensor.Backend;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The thread that samples for all served models, a step of each in turn, on one backend. */
public final class SamplingLoop implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(SamplingLoop.class);

  private final Supplier<Backend> backends;
  private final Backend backend;
  private final ModelLoader loader;
  private final List<Lane> lanes = new CopyOnWriteArrayList<>();
  private final BlockingQueue<Runnable> inbox = new LinkedBlockingQueue<>();
  private final Thread thread = new Thread(this::run, "sampling");
  private volatile boolean closed;

  /**
   * Starts the thread.
   *
   * @param backends opens backends of one kind; the loop closes them
   */
  public SamplingLoop(Supplier<Backend> backends, ModelLoader loader) {
    this.backends = backends;
    this.backend = backends.get();
    this.loader = loader;
    thread.setDaemon(true);
    thread.start();
  }

  /** Adds a served model, which has no version yet. */
  public Lane add(String id, LaneSettings settings) {
    Lane lane = new Lane(id, settings, this, loader);
    lanes.add(lane);
    return lane;
  }

  /** Whether the thread samples. */
  public boolean isAlive() {
    return thread.isAlive() && !closed;
  }

  /** The sampling thread's own. */
  Backend backend() {
    return backend;
  }

  Backend newBackend() {
    return backends.get();
  }

  /** Runs a task on the sampling thread between two steps. */
  void execute(Runnable task) {
    inbox.add(task);
  }

  private void run() {
    try {
      while (!closed) {
        boolean busy = lanes.stream().anyMatch(Lane::isBusy);
        Runnable task = busy ? inbox.poll() : inbox.take();
        while (task != null) {
          task.run();
          task = inbox.poll();
        }
        lanes.forEach(Lane::step);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (RuntimeException | Error e) {
      LOG.error("The sampling thread has ended", e);
      throw e;
    } finally {
      closed = true;
      lanes.forEach(Lane::close);
      backend.close();
    }
  }

  /** Ends the thread; requests in flight fail. */
  @Override
  public void close() {
    closed = true;
    execute(() -> {});
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}

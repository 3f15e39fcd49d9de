package io.millrace.serve.notify;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * Gives the endpoints of engines each new policy version, once and until they answer with it. Each
 * endpoint goes at its own pace.
 */
public final class Notifications implements AutoCloseable {

  private final List<EngineHttp> connections = new ArrayList<>();
  private final Map<String, Notifier> notifiers = new TreeMap<>();
  private final List<Thread> threads = new ArrayList<>();

  private Notifications() {}

  /**
   * Starts to follow announcements.
   *
   * @param progress takes a line for each event, from several threads
   * @throws IOException if the directory of copies cannot be made
   */
  public static Notifications start(NotifySettings settings, Consumer<String> progress)
      throws IOException {
    SharedCopies copies = new SharedCopies(settings);
    Notifications notifications = new Notifications();
    for (NotifySettings.Endpoint endpoint : settings.endpoints()) {
      EngineHttp http =
          new EngineHttp(
              endpoint.address(),
              endpoint.key(),
              settings.requestTimeout(),
              settings.loadTimeout());
      Engine engine =
          switch (endpoint.kind()) {
            case VLLM -> new VllmEngine(http, copies.link(endpoint.name()), false);
            case VLLM_SLEEP -> new VllmEngine(http, copies.link(endpoint.name()), true);
            case SGLANG -> new SglangEngine(http);
          };
      Notifier notifier = new Notifier(settings, endpoint, copies, engine, progress);
      notifications.connections.add(http);
      notifications.notifiers.put(endpoint.name(), notifier);
      notifications.threads.add(new Thread(notifier, "notify " + endpoint.name()));
    }
    notifications.threads.forEach(Thread::start);
    return notifications;
  }

  /** Waits until all endpoints have what is announced, or have refused it. */
  public void awaitUpToDate() throws InterruptedException {
    while (!notifiers.values().stream().allMatch(Notifier::isUpToDate)) {
      TimeUnit.MILLISECONDS.sleep(50);
    }
  }

  /**
   * What each endpoint was given.
   *
   * @param loaded versions
   * @param skipped versions by reason: {@code outdated}, {@code unusable}, {@code refused}, {@code
   *     failed}
   */
  public record Summary(long loaded, Map<String, Long> skipped) {

    /** Whether a version was skipped for another reason than a newer one. */
    public boolean hasProblems() {
      return skipped.keySet().stream().anyMatch(reason -> !reason.equals("outdated"));
    }
  }

  /** By the endpoint's name. */
  public Map<String, Summary> summaries() {
    Map<String, Summary> summaries = new TreeMap<>();
    notifiers.forEach(
        (name, notifier) ->
            summaries.put(name, new Summary(notifier.loaded(), notifier.skipped())));
    return summaries;
  }

  /** Stops after the calls in flight have been cut. What was not committed is done again later. */
  @Override
  public void close() {
    notifiers.values().forEach(Notifier::close);
    connections.forEach(EngineHttp::close);
    for (Thread thread : threads) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }
}

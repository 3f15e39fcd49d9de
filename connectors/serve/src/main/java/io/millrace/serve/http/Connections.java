package io.millrace.serve.http;

import io.helidon.common.buffers.BufferData;
import io.helidon.common.concurrency.limits.Limit;
import io.helidon.common.socket.SocketOptions;
import io.helidon.webserver.ConnectionContext;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.spi.ServerConnection;
import io.helidon.webserver.spi.ServerConnectionSelector;
import java.io.IOException;
import java.net.SocketAddress;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.LongAdder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The open connections. A connection is closed when its client takes too long to send a request, or
 * to take a response: Helidon's own timeouts start anew with each byte.
 */
public final class Connections implements ServerConnectionSelector, AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(Connections.class);
  private static final long LOOK_SECONDS = 1;

  private final ServerConnectionSelector http1;
  private final long requestNanos;
  private final long responseNanos;
  private final Map<String, Open> open = new ConcurrentHashMap<>();
  private final Map<SocketAddress, Accepted> accepted = new ConcurrentHashMap<>();
  private final LongAdder timeouts = new LongAdder();
  private final ScheduledExecutorService watch =
      Executors.newSingleThreadScheduledExecutor(Thread.ofVirtual().name("connections").factory());

  /**
   * @param http1 makes the connections
   * @param request within which a client must have sent a request, once its connection is open or
   *     idle again
   * @param response within which a response must be written
   */
  public Connections(ServerConnectionSelector http1, Duration request, Duration response) {
    this.http1 = http1;
    this.requestNanos = request.toNanos();
    this.responseNanos = response.toNanos();
    var _ = watch.scheduleWithFixedDelay(this::look, LOOK_SECONDS, LOOK_SECONDS, TimeUnit.SECONDS);
  }

  /** A connection whose TLS handshake is not complete, or which has sent nothing yet. */
  private record Accepted(SocketChannel channel, long end) {}

  /** Options that begin the watch with the TLS handshake. */
  SocketOptions watch(SocketOptions options) {
    return new WatchedOptions(options, this::accepted);
  }

  private void accepted(SocketChannel channel) {
    try {
      accepted.put(
          channel.getRemoteAddress(), new Accepted(channel, System.nanoTime() + requestNanos));
    } catch (IOException e) {
      LOG.debug("A client has gone already: {}", e.getMessage());
    }
  }

  /** The connection of a request. */
  public Optional<Open> of(ServerRequest request) {
    return Optional.ofNullable(open.get(request.socketId()));
  }

  int count() {
    return open.size() + accepted.size();
  }

  /** Connections that were closed for their slowness. */
  long timeouts() {
    return timeouts.sum();
  }

  private void look() {
    long now = System.nanoTime();
    accepted.forEach(
        (address, connection) -> {
          if (!connection.channel().isOpen()) {
            accepted.remove(address, connection);
          } else if (now - connection.end() > 0 && accepted.remove(address, connection)) {
            timeouts.increment();
            Thread.ofVirtual().name("close").start(() -> close(connection.channel()));
          }
        });
    for (Open connection : open.values()) {
      if (now - connection.end > 0 && connection.closing.compareAndSet(false, true)) {
        timeouts.increment();
        // Closing may fail, and with TLS it waits for a writer: neither must end the watch.
        Thread.ofVirtual().name("close").start(connection::closeSocket);
      }
    }
  }

  private static void close(SocketChannel channel) {
    try {
      channel.close();
    } catch (IOException e) {
      LOG.debug("A slow connection was closed already: {}", e.getMessage());
    }
  }

  @Override
  public int bytesToIdentifyConnection() {
    return http1.bytesToIdentifyConnection();
  }

  @Override
  public Support supports(BufferData data) {
    return http1.supports(data);
  }

  @Override
  public Set<String> supportedApplicationProtocols() {
    return http1.supportedApplicationProtocols();
  }

  @Override
  public ServerConnection connection(ConnectionContext context) {
    accepted.remove(context.remotePeer().address());
    WatchedContext watched = new WatchedContext(context);
    Open connection = new Open(watched, http1.connection(watched));
    open.put(context.childSocketId(), connection);
    return connection;
  }

  @Override
  public void close() {
    watch.shutdownNow();
  }

  /** A connection. */
  public final class Open implements ServerConnection {

    private final WatchedContext context;
    private final ServerConnection connection;
    private final AtomicBoolean closing = new AtomicBoolean();
    private volatile long end = System.nanoTime() + requestNanos;

    private Open(WatchedContext context, ServerConnection connection) {
      this.context = context;
      this.connection = connection;
    }

    private void closeSocket() {
      try {
        context.serverSocket().close();
      } catch (RuntimeException e) {
        LOG.debug("A slow connection was closed already: {}", e.getMessage());
      }
    }

    /** The connection waits for the next request. */
    public void waits() {
      context.readUntil(OptionalLong.empty());
      end = System.nanoTime() + requestNanos;
    }

    /** A body is read. Reading fails at the limit, which leaves time for an answer. */
    public void reads() {
      context.readUntil(OptionalLong.of(System.nanoTime() + requestNanos));
      end = System.nanoTime() + 2 * requestNanos;
    }

    /** The request has been read, and is answered. */
    public void responds() {
      end = System.nanoTime() + responseNanos;
    }

    /** Whether the client has closed the connection; to be called once the request is read. */
    public boolean isGone() {
      return context.isGone();
    }

    @Override
    public void handle(Limit limit) throws InterruptedException {
      try {
        connection.handle(limit);
      } finally {
        open.remove(context.childSocketId());
      }
    }

    @Override
    public Duration idleTime() {
      return connection.idleTime();
    }

    @Override
    public void close(boolean interrupt) {
      connection.close(interrupt);
    }
  }
}

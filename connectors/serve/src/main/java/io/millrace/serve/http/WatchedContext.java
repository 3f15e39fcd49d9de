package io.millrace.serve.http;

import io.helidon.common.buffers.DataReader;
import io.helidon.common.buffers.DataWriter;
import io.helidon.common.socket.HelidonSocket;
import io.helidon.common.socket.PeerInfo;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.ConnectionContext;
import io.helidon.webserver.ListenerContext;
import io.helidon.webserver.ProxyProtocolData;
import io.helidon.webserver.Router;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * A connection that notices that its client has gone while a response is in the making, and that
 * limits the time of a body. A thread of its own waits for the next bytes then; the connection gets
 * them when it reads on.
 */
final class WatchedContext implements ConnectionContext {

  private final ConnectionContext context;
  private final HelidonSocket socket;
  private final DataReader reader = DataReader.create(this::read);
  private CompletableFuture<byte[]> ahead;
  private OptionalLong end = OptionalLong.empty();

  WatchedContext(ConnectionContext context) {
    this.context = context;
    this.socket = context.serverSocket();
  }

  /** Whether the client has closed the connection. On the thread of the connection. */
  boolean isGone() {
    begin();
    return ahead.isDone() && (ahead.isCompletedExceptionally() || ahead.join() == null);
  }

  /** Lets reading fail at a time of {@link System#nanoTime}; empty for no such time. */
  void readUntil(OptionalLong nanoTime) {
    end = nanoTime;
  }

  private void begin() {
    if (ahead == null) {
      ahead = new CompletableFuture<>();
      CompletableFuture<byte[]> next = ahead;
      Thread.ofVirtual().name("read").start(() -> readAhead(next));
    }
  }

  private void readAhead(CompletableFuture<byte[]> next) {
    try {
      next.complete(socket.get());
    } catch (RuntimeException e) {
      next.completeExceptionally(e);
    }
  }

  private byte[] read() {
    try {
      if (end.isPresent()) {
        begin();
      }
      if (ahead == null) {
        return socket.get();
      }
      byte[] bytes =
          end.isPresent()
              ? ahead.get(end.getAsLong() - System.nanoTime(), TimeUnit.NANOSECONDS)
              : ahead.get();
      ahead = null;
      return bytes;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CloseConnectionException("the server stops", e);
    } catch (ExecutionException | TimeoutException | RuntimeException e) {
      throw new CloseConnectionException("the client has gone or is too slow", e);
    }
  }

  @Override
  public DataReader dataReader() {
    return reader;
  }

  @Override
  public ListenerContext listenerContext() {
    return context.listenerContext();
  }

  @Override
  public ExecutorService executor() {
    return context.executor();
  }

  @Override
  public DataWriter dataWriter() {
    return context.dataWriter();
  }

  @Override
  public Router router() {
    return context.router();
  }

  @Override
  public Optional<ProxyProtocolData> proxyProtocolData() {
    return context.proxyProtocolData();
  }

  @Override
  public HelidonSocket serverSocket() {
    return socket;
  }

  @Override
  public PeerInfo remotePeer() {
    return context.remotePeer();
  }

  @Override
  public PeerInfo localPeer() {
    return context.localPeer();
  }

  @Override
  public boolean isSecure() {
    return context.isSecure();
  }

  @Override
  public String socketId() {
    return context.socketId();
  }

  @Override
  public String childSocketId() {
    return context.childSocketId();
  }
}

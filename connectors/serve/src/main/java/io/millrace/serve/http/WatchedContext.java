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
import java.net.SocketTimeoutException;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;

/**
 * A connection that notices that its client has gone while a response is in the making. A thread of
 * its own waits for the next bytes then; the connection gets them when it reads the next request.
 */
final class WatchedContext implements ConnectionContext {

  private final ConnectionContext context;
  private final HelidonSocket socket;
  private final DataReader reader = new DataReader(this::read);
  private CompletableFuture<byte[]> ahead;

  WatchedContext(ConnectionContext context) {
    this.context = context;
    this.socket = context.serverSocket();
  }

  /** Whether the client has closed the connection. On the thread of the connection. */
  boolean isGone() {
    if (ahead == null) {
      ahead = new CompletableFuture<>();
      CompletableFuture<byte[]> next = ahead;
      Thread.ofVirtual().name("watch").start(() -> readAhead(next));
    }
    return ahead.isDone() && (ahead.isCompletedExceptionally() || ahead.join() == null);
  }

  private void readAhead(CompletableFuture<byte[]> next) {
    while (true) {
      try {
        next.complete(socket.get());
        return;
      } catch (RuntimeException e) {
        if (!(e.getCause() instanceof SocketTimeoutException)) {
          next.completeExceptionally(e);
          return;
        }
        // The client waits for the response; Connections ends a connection that waits too long.
      }
    }
  }

  private byte[] read() {
    try {
      if (ahead == null) {
        return socket.get();
      }
      CompletableFuture<byte[]> next = ahead;
      ahead = null;
      return next.join();
    } catch (CompletionException e) {
      throw new CloseConnectionException("the client has gone", e.getCause());
    } catch (RuntimeException e) {
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

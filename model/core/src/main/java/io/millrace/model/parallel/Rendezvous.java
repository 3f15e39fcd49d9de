package io.millrace.model.parallel;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Where rank 0 takes the connections of the other ranks. */
public final class Rendezvous implements AutoCloseable {

  /** Connections at once that have not proved themselves; others are refused. */
  private static final int MOST_STRANGERS = 256;

  private final ServerSocketChannel server;
  private final Semaphore greeting = new Semaphore(MOST_STRANGERS);
  private final Address address;
  private final int size;
  private final Duration patience;
  private final Consumer<? super String> refusals;
  private final Link[] links;
  private boolean taken;
  private boolean closed;

  /** Why a connection was refused last; null if none was. */
  private String lastRefused;

  /**
   * Where the other ranks find rank 0.
   *
   * @param secret of this attempt, which both sides must know
   */
  public record Address(String host, int port, byte[] secret) {

    /** Without the secret. */
    @Override
    public String toString() {
      return host + ":" + port;
    }
  }

  private Rendezvous(
      ServerSocketChannel server,
      String host,
      int size,
      Duration patience,
      Consumer<? super String> refusals)
      throws IOException {
    this.refusals = refusals;
    this.server = server;
    this.size = size;
    this.patience = patience;
    this.links = new Link[size - 1];
    this.address =
        new Address(
            host, ((InetSocketAddress) server.getLocalAddress()).getPort(), Handshake.newSecret());
  }

  /**
   * Begins to take connections, with a new secret.
   *
   * @param bound a name or address of this machine, whose interface is listened on
   * @param host under which the other ranks find this machine
   * @param size number of ranks, this one included
   * @param patience longest wait for a rank to connect, and then for each answer
   * @param refusals takes a sentence about each connection that is refused
   * @throws IOException naming the address, if this machine cannot listen on it
   */
  public static Rendezvous open(
      String bound, String host, int size, Duration patience, Consumer<? super String> refusals)
      throws IOException {
    ServerSocketChannel server = ServerSocketChannel.open();
    try {
      server.bind(new InetSocketAddress(InetAddress.getByName(bound), 0));
      Rendezvous rendezvous = new Rendezvous(server, host, size, patience, refusals);
      Thread.ofVirtual().name("ranks").start(rendezvous::take);
      return rendezvous;
    } catch (IOException | RuntimeException e) {
      server.close();
      throw new IOException("rank 0 cannot listen on %s: %s".formatted(bound, e.getMessage()), e);
    }
  }

  public Address address() {
    return address;
  }

  private void take() {
    try {
      while (true) {
        SocketChannel channel = server.accept();
        if (greeting.tryAcquire()) {
          Thread.ofVirtual().name("rank").start(() -> shakeHands(channel));
        } else {
          refuse(channel, new IOException("too many connections at once"));
        }
      }
    } catch (IOException e) {
      synchronized (this) {
        if (!closed) {
          lastRefused = "it takes no connections any more: " + e;
        }
      }
    }
  }

  private void shakeHands(SocketChannel channel) {
    try {
      String peer = text(channel);
      int rank = new Handshake(channel, address.secret()).accept(size, this::refusal);
      add(rank, new Link(channel, "rank %d at %s".formatted(rank, peer), patience));
    } catch (IOException e) {
      refuse(channel, e);
    } finally {
      greeting.release();
    }
  }

  private void refuse(SocketChannel channel, IOException reason) {
    String peer = text(channel);
    refusals.accept(
        "Refused a connection from %s to rank 0 at %s: %s".formatted(peer, address, reason));
    synchronized (this) {
      lastRefused = "the last refused connection came from %s: %s".formatted(peer, reason);
    }
    try {
      channel.close();
    } catch (IOException e) {
      // It is gone already.
    }
  }

  private synchronized String refusal(int rank) {
    return links[rank - 1] == null ? null : "rank " + rank + " is connected already";
  }

  private synchronized void add(int rank, Link link) {
    if (closed || links[rank - 1] != null) {
      link.close();
      return;
    }
    links[rank - 1] = link;
    notifyAll();
  }

  /**
   * Waits for all other ranks, and takes no more connections then. The caller closes them.
   *
   * @return their connections, in their order
   * @throws IOException naming the ranks that did not come in time
   */
  public synchronized List<Link> await() throws IOException, InterruptedException {
    long deadline = System.nanoTime() + patience.toNanos();
    while (Arrays.stream(links).anyMatch(Objects::isNull)) {
      long millis = (deadline - System.nanoTime()) / 1_000_000;
      if (millis <= 0) {
        throw new IOException(
            "rank %s of %d did not connect to %s within %d s%s"
                .formatted(
                    IntStream.range(1, size)
                        .filter(rank -> links[rank - 1] == null)
                        .mapToObj(Integer::toString)
                        .collect(Collectors.joining(", ")),
                    size,
                    address,
                    patience.toSeconds(),
                    lastRefused == null ? "" : "; " + lastRefused));
      }
      wait(millis);
    }
    taken = true;
    closeServer();
    return List.of(links);
  }

  /** The connections so far, in no case waiting for others. */
  public synchronized List<Link> connected() {
    return Arrays.stream(links).filter(Objects::nonNull).toList();
  }

  /**
   * Connects to rank 0.
   *
   * @param patience longest wait for each answer
   * @throws IOException naming rank 0 and its host, if it does not take the connection
   */
  public static Link connect(Address address, int rank, int size, Duration patience)
      throws IOException {
    SocketChannel channel = SocketChannel.open();
    try {
      channel
          .socket()
          .connect(
              new InetSocketAddress(InetAddress.getByName(address.host()), address.port()),
              Link.millis(Handshake.PATIENCE));
      new Handshake(channel, address.secret()).request(rank, size);
      return new Link(channel, "rank 0 at " + address, patience);
    } catch (ClosedByInterruptException e) {
      throw e;
    } catch (IOException e) {
      channel.close();
      throw new RankLostException(
          "rank 0 at " + address,
          "did not take the connection of rank %d: %s".formatted(rank, e),
          e);
    }
  }

  private static String text(SocketChannel channel) {
    try {
      return channel.getRemoteAddress() instanceof InetSocketAddress address
          ? address.getAddress().getHostAddress() + ":" + address.getPort()
          : "an unknown address";
    } catch (IOException e) {
      return "an address that is gone";
    }
  }

  private synchronized void closeServer() {
    closed = true;
    try {
      server.close();
    } catch (IOException e) {
      // It is closed already.
    }
  }

  /** Stops taking connections, and closes every connection that {@link #await} has not returned. */
  @Override
  public synchronized void close() {
    closeServer();
    if (!taken) {
      Arrays.stream(links).filter(Objects::nonNull).forEach(Link::close);
    }
  }
}

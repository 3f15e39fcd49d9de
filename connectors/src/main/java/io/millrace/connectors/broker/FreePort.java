package io.millrace.connectors.broker;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.util.Random;
import java.util.random.RandomGenerator;

/**
 * A free port for a server that must come back on the same one.
 *
 * <p>A port of the range that the system hands to outgoing connections will not do: while the
 * server is away, a client that tries to reach it again and again is sooner or later given the very
 * port as its own, is connected to itself, and the server finds its port taken.
 */
public final class FreePort {

  /** Below 32768, where Linux begins; other systems begin higher. */
  private static final int FIRST = 20_000;

  private static final int END = 32_768;
  private static final int ATTEMPTS = 1_000;
  private static final RandomGenerator RANDOM = new Random();

  private FreePort() {}

  /**
   * Holds a free port until it is closed, so that ports chosen together differ.
   *
   * @param address where it is to be free
   * @throws IOException when no port was found in many attempts
   */
  public static ServerSocket hold(InetAddress address) throws IOException {
    IOException last = null;
    for (int i = 0; i < ATTEMPTS; i++) {
      ServerSocket socket = new ServerSocket();
      try {
        socket.bind(new InetSocketAddress(address, RANDOM.nextInt(FIRST, END)));
        return socket;
      } catch (IOException e) {
        socket.close();
        last = e;
      }
    }
    throw new IOException(
        "no free port from %d to %d in %d attempts".formatted(FIRST, END - 1, ATTEMPTS), last);
  }
}

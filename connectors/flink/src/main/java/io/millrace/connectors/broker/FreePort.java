package io.millrace.connectors.broker;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.util.Random;
import java.util.random.RandomGenerator;

/**
 * Finds a free port for a server that must restart on the same port.
 *
 * <p>The port lies outside the range that the system uses for outgoing connections. Inside that
 * range, a client that retries while the server is down sooner or later gets the server's port as
 * its own. It then connects to itself, and the server cannot restart.
 */
public final class FreePort {

  /** Linux uses ports from 32768 for outgoing connections; other systems begin higher. */
  private static final int FIRST = 20_000;

  private static final int END = 32_768;
  private static final int ATTEMPTS = 1_000;
  private static final RandomGenerator RANDOM = new Random();

  private FreePort() {}

  /**
   * Opens a socket on a free port. While it is open, further calls choose other ports.
   *
   * @param address the local address to bind
   * @throws IOException when 1000 random ports are all taken
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
        "found no free port between %d and %d on %s in %d attempts; stop servers that use these ports"
            .formatted(FIRST, END - 1, address.getHostAddress(), ATTEMPTS),
        last);
  }
}

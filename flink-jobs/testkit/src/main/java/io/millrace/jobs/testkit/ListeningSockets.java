package io.millrace.jobs.testkit;

import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;

/** The TCP sockets on which a process of Linux listens. */
public final class ListeningSockets {

  /** Most bytes of a table of sockets. */
  private static final int MOST_BYTES = 64 << 20;

  private static final String LISTEN = "0A";
  private static final int WORD = 4;

  private ListeningSockets() {}

  /** A socket as address and port. */
  private record Listening(InetAddress address, int port) {
    @Override
    public String toString() {
      return address.getHostAddress() + ":" + port;
    }
  }

  /** Every socket, as address:port. */
  public static List<String> of(long process) throws IOException {
    return sockets(process).stream().map(Listening::toString).toList();
  }

  /** The sockets that other machines could reach. */
  public static List<String> beyondLoopback(long process) throws IOException {
    return sockets(process).stream()
        .filter(socket -> !socket.address().isLoopbackAddress())
        .map(Listening::toString)
        .toList();
  }

  private static List<Listening> sockets(long process) throws IOException {
    Set<String> inodes = new HashSet<>();
    Path root = Path.of("/proc", Long.toString(process));
    try (DirectoryStream<Path> descriptors = Files.newDirectoryStream(root.resolve("fd"))) {
      for (Path descriptor : descriptors) {
        try {
          String target = Files.readSymbolicLink(descriptor).toString();
          if (target.startsWith("socket:[")) {
            inodes.add(target.substring("socket:[".length(), target.length() - 1));
          }
        } catch (IOException e) {
          // Closed meanwhile.
        }
      }
    }
    List<Listening> found = new ArrayList<>();
    for (String table : List.of("net/tcp", "net/tcp6")) {
      for (String line : PlainFiles.readText(root.resolve(table), MOST_BYTES).lines().toList()) {
        String[] words = line.strip().split("\\s+");
        if (words.length > 9 && words[3].equals(LISTEN) && inodes.contains(words[9])) {
          found.add(listening(words[1]));
        }
      }
    }
    return found;
  }

  /** Parses an address such as 0100007F:1F90, in words of the machine's byte order. */
  private static Listening listening(String text) {
    String[] parts = text.split(":");
    byte[] address = HexFormat.of().parseHex(parts[0]);
    for (int word = 0; word < address.length; word += WORD) {
      for (int i = 0; i < WORD / 2; i++) {
        byte swapped = address[word + i];
        address[word + i] = address[word + WORD - 1 - i];
        address[word + WORD - 1 - i] = swapped;
      }
    }
    try {
      return new Listening(InetAddress.getByAddress(address), Integer.parseInt(parts[1], 16));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

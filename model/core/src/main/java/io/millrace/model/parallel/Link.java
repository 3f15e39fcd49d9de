package io.millrace.model.parallel;

import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.SocketTimeoutException;
import java.net.StandardSocketOptions;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import jdk.net.ExtendedSocketOptions;

/**
 * A connection to another rank. What is written goes in frames of a bounded length. An interrupt of
 * a thread that reads or writes closes the connection.
 *
 * <p>A process that ends closes its connections, and the other side fails at once. The system
 * notices a machine that is gone within half a minute, by the probes of TCP.
 */
public final class Link implements AutoCloseable {

  /** Most bytes of a frame. */
  static final int MOST_FRAME = 1 << 16;

  /** In place of a length: why the sender failed follows. */
  private static final int FAILURE = -1;

  private static final int MOST_FAILURE = 4_000;

  private static final int SOCKET_BUFFER = 1 << 20;

  private final SocketChannel channel;
  private final String peer;
  private final Duration patience;
  private final DataInputStream in;
  private final DataOutputStream out;
  private final OutputStream socketOut;
  private long bytes;

  /**
   * @param peer the rank and its host, for messages
   * @param patience longest wait for a frame
   */
  Link(SocketChannel channel, String peer, Duration patience) throws IOException {
    this.channel = channel;
    this.peer = peer;
    channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
    channel.setOption(StandardSocketOptions.SO_KEEPALIVE, true);
    channel.setOption(StandardSocketOptions.SO_SNDBUF, SOCKET_BUFFER);
    channel.setOption(StandardSocketOptions.SO_RCVBUF, SOCKET_BUFFER);
    if (channel.supportedOptions().contains(ExtendedSocketOptions.TCP_KEEPIDLE)) {
      channel.setOption(ExtendedSocketOptions.TCP_KEEPIDLE, 10);
      channel.setOption(ExtendedSocketOptions.TCP_KEEPINTERVAL, 5);
      channel.setOption(ExtendedSocketOptions.TCP_KEEPCOUNT, 4);
    }
    this.patience = patience;
    setPatient(false);
    this.in = new DataInputStream(new Frames(channel.socket().getInputStream()));
    this.socketOut = channel.socket().getOutputStream();
    this.out = new DataOutputStream(new BufferedOutputStream(new FramesOut(), MOST_FRAME));
  }

  /** Whether reads wait without a limit, for a peer that may have nothing to say for long. */
  public void setPatient(boolean patient) throws IOException {
    channel.socket().setSoTimeout(patient ? 0 : millis(patience));
  }

  /** Lets the other side fail with the reason of this one. */
  void fail(String reason) throws IOException {
    String shown = reason.substring(0, Math.min(reason.length(), MOST_FAILURE));
    ByteArrayOutputStream frame = new ByteArrayOutputStream();
    DataOutputStream data = new DataOutputStream(frame);
    data.writeInt(FAILURE);
    data.writeUTF(shown);
    socketOut.write(frame.toByteArray());
  }

  static int millis(Duration patience) {
    return Math.clamp(patience.toMillis(), 1, Integer.MAX_VALUE);
  }

  /** The rank at the other end and its host. */
  public String peer() {
    return peer;
  }

  public DataInputStream in() {
    return in;
  }

  /** Buffered: {@link DataOutputStream#flush} sends what was written. */
  public DataOutputStream out() {
    return out;
  }

  /** Bytes sent and received so far. */
  long bytes() {
    return bytes;
  }

  private IOException lost(String problem, IOException cause) {
    return cause instanceof ClosedByInterruptException
        ? cause
        : new RankLostException(peer, problem, cause);
  }

  /** Each write becomes a frame; the buffer before it bounds its length. */
  private final class FramesOut extends OutputStream {
    private final byte[] frame = new byte[Integer.BYTES + MOST_FRAME];

    @Override
    public void write(int b) throws IOException {
      write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] source, int offset, int length) throws IOException {
      for (int done = 0; done < length; ) {
        int some = Math.min(MOST_FRAME, length - done);
        for (int i = 0; i < Integer.BYTES; i++) {
          frame[i] = (byte) (some >>> (Integer.SIZE - Byte.SIZE * (i + 1)));
        }
        System.arraycopy(source, offset + done, frame, Integer.BYTES, some);
        try {
          socketOut.write(frame, 0, Integer.BYTES + some);
        } catch (IOException e) {
          throw lost("closed the connection: its task failed, or its process ended", e);
        }
        bytes += Integer.BYTES + some;
        done += some;
      }
    }

    @Override
    public void flush() throws IOException {
      socketOut.flush();
    }
  }

  /** Reads frame after frame as one stream. */
  private final class Frames extends InputStream {
    private final DataInputStream socket;
    private final byte[] frame = new byte[MOST_FRAME];
    private int at;
    private int end;

    Frames(InputStream socket) {
      this.socket = new DataInputStream(socket);
    }

    private void fill() throws IOException {
      while (at == end) {
        try {
          int length = socket.readInt();
          if (length == FAILURE) {
            throw lost("failed: " + socket.readUTF(), null);
          }
          if (length < 1 || length > MOST_FRAME) {
            throw lost(
                "sent a frame of %d bytes; 1 to %d are allowed".formatted(length, MOST_FRAME),
                null);
          }
          socket.readFully(frame, 0, length);
          bytes += Integer.BYTES + length;
          at = 0;
          end = length;
        } catch (SocketTimeoutException e) {
          throw lost("sent nothing for " + patience.toSeconds() + " s", e);
        } catch (RankLostException e) {
          throw e;
        } catch (IOException e) {
          throw lost("closed the connection: its task failed, or its process ended", e);
        }
      }
    }

    @Override
    public int read() throws IOException {
      fill();
      return frame[at++] & 0xff;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      if (length == 0) {
        return 0;
      }
      fill();
      int some = Math.min(length, end - at);
      System.arraycopy(frame, at, target, offset, some);
      at += some;
      return some;
    }
  }

  /** Checks that the other rank is where this one is. */
  void expect(byte kind, int number, long size) throws IOException {
    byte theirKind = in.readByte();
    int theirNumber = in.readInt();
    long theirSize = in.readLong();
    if (theirKind != kind || theirNumber != number || theirSize != size) {
      throw new RankLostException(
          peer,
          "is out of step: it sent exchange %d of kind %c with %d values, this rank expected %d of kind %c with %d"
              .formatted(theirNumber, (char) theirKind, theirSize, number, (char) kind, size),
          new EOFException());
    }
  }

  void announce(byte kind, int number, long size) throws IOException {
    out.writeByte(kind);
    out.writeInt(number);
    out.writeLong(size);
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      // It is gone already.
    }
  }
}

package io.millrace.model.parallel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class RendezvousTest {

  private static final String HOST = "127.0.0.1";
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  private final BlockingQueue<String> refusals = new LinkedBlockingQueue<>();

  private Rendezvous open(int size, Duration patience) throws IOException {
    return Rendezvous.open(HOST, HOST, size, patience, refusals::add);
  }

  private String refusal() throws InterruptedException {
    String refusal = refusals.poll(30, TimeUnit.SECONDS);
    assertTrue(refusal != null, "nothing was refused");
    return refusal;
  }

  @Test
  void ranksGetTheSumInTheOrderOfRanks() throws Exception {
    List<StarRanks> ranks = StarRanks.inThisProcess(3, PATIENCE);
    // Added in another order, these are 0 or 2.
    double[][] values = {{1e17}, {-1e17}, {1}};
    FutureTask<?>[] tasks = new FutureTask<?>[3];
    for (int rank = 2; rank >= 0; rank--) {
      int own = rank;
      tasks[rank] = new FutureTask<>(() -> ranks.get(own).sum(values[own]), null);
      Thread.ofVirtual().start(tasks[rank]);
    }
    for (int rank = 0; rank < 3; rank++) {
      tasks[rank].get(30, TimeUnit.SECONDS);
      assertEquals(1, values[rank][0]);
    }
    assertTrue(ranks.getFirst().exchangedBytes() > 0);
    assertTrue(ranks.getFirst().exchangeNanos() > 0);
    ranks.forEach(Ranks::close);
  }

  @Test
  void aConnectionThatDoesNotKnowTheSecretIsRefused() throws Exception {
    try (Rendezvous rendezvous = open(2, PATIENCE)) {
      Rendezvous.Address known = rendezvous.address();
      Rendezvous.Address guessed =
          new Rendezvous.Address(known.host(), known.port(), new byte[known.secret().length]);
      IOException refused =
          assertThrows(IOException.class, () -> Rendezvous.connect(guessed, 1, 2, PATIENCE));
      assertTrue(
          refused.getMessage().startsWith("rank 0 at " + known + " did not take the connection"),
          refused.getMessage());
      String refusal = refusal();
      assertTrue(refusal.contains("does not know the secret"), refusal);
      assertFalse(known.toString().contains("secret"));
      // The right one still gets in.
      try (Link link = Rendezvous.connect(known, 1, 2, PATIENCE);
          Link first = rendezvous.await().getFirst()) {
        link.out().writeInt(7);
        link.out().flush();
        assertEquals(7, first.in().readInt());
      }
    }
  }

  @Test
  void aRankOfAnotherNumberOrTwiceIsRefused() throws Exception {
    try (Rendezvous rendezvous = open(3, PATIENCE)) {
      Rendezvous.Address address = rendezvous.address();
      for (int[] bad : new int[][] {{0, 3}, {3, 3}, {1, 2}}) {
        IOException refused =
            assertThrows(
                IOException.class, () -> Rendezvous.connect(address, bad[0], bad[1], PATIENCE));
        assertTrue(refused.getMessage().contains("rank"), refused.getMessage());
        refusal();
      }
      try (Link _ = Rendezvous.connect(address, 1, 3, PATIENCE);
          Link _ = Rendezvous.connect(address, 2, 3, PATIENCE)) {
        List<Link> links = rendezvous.await();
        assertEquals(2, links.size());
        assertTrue(links.getFirst().peer().startsWith("rank 1 at 127.0.0.1:"));
        links.forEach(Link::close);
      }
    }
  }

  @Test
  void somethingElseThatConnectsIsRefused() throws Exception {
    try (Rendezvous rendezvous = open(2, PATIENCE);
        Socket socket = new Socket()) {
      socket.connect(new InetSocketAddress(HOST, rendezvous.address().port()));
      socket
          .getOutputStream()
          .write("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".getBytes(StandardCharsets.UTF_8));
      assertTrue(refusal().contains("it is not a rank"));
    }
  }

  @Test
  void aRankThatDoesNotComeIsNamed() throws Exception {
    try (Rendezvous rendezvous = open(3, Duration.ofMillis(50));
        Link _ = Rendezvous.connect(rendezvous.address(), 1, 3, PATIENCE)) {
      String message = assertThrows(IOException.class, rendezvous::await).getMessage();
      assertTrue(message.contains("rank 2 of 3 did not connect to 127.0.0.1:"), message);
    }
  }

  @Test
  void anAddressOfAnotherMachineCannotBeListenedOn() {
    IOException refused =
        assertThrows(
            IOException.class,
            () -> Rendezvous.open("192.0.2.1", HOST, 2, PATIENCE, refusals::add));
    assertTrue(refused.getMessage().contains("192.0.2.1"), refused.getMessage());
  }

  @Test
  void silenceEndsAtTheDeadlineAndNamesTheRank() throws Exception {
    List<StarRanks> ranks = StarRanks.inThisProcess(2, Duration.ofMillis(50));
    String message =
        assertThrows(UncheckedIOException.class, () -> ranks.getFirst().sum(new double[1]))
            .getMessage();
    assertTrue(message.contains("rank 1 at 127.0.0.1:"), message);
    assertTrue(message.contains("sent nothing"), message);
    ranks.forEach(Ranks::close);
  }

  @Test
  void ranksThatAreOutOfStepSaySo() throws Exception {
    List<StarRanks> ranks = StarRanks.inThisProcess(2, PATIENCE);
    Thread.ofVirtual().start(new FutureTask<>(() -> ranks.getLast().sum(new double[2]), null));
    String message =
        assertThrows(UncheckedIOException.class, () -> ranks.getFirst().sum(new double[1]))
            .getMessage();
    assertTrue(message.contains("out of step"), message);
    ranks.forEach(Ranks::close);
  }

  @Test
  void aFrameThatIsTooLongIsRefusedBeforeItIsRead() throws Exception {
    try (Rendezvous rendezvous = open(2, PATIENCE)) {
      SocketChannel channel = SocketChannel.open();
      channel.connect(new InetSocketAddress(HOST, rendezvous.address().port()));
      new Handshake(channel, rendezvous.address().secret()).request(1, 2);
      Link link = rendezvous.await().getFirst();
      channel.socket().getOutputStream().write(new byte[] {0x7f, 0, 0, 0, 1, 2, 3, 4});
      String message = assertThrows(RankLostException.class, link.in()::readByte).getMessage();
      assertTrue(message.contains("2130706432 bytes"), message);
      link.close();
      channel.close();
    }
  }

  @Test
  void anInterruptEndsAWait() throws Exception {
    List<StarRanks> ranks = StarRanks.inThisProcess(2, PATIENCE);
    BlockingQueue<Throwable> thrown = new LinkedBlockingQueue<>();
    Thread waiting =
        new Thread(
            () -> {
              try {
                ranks.getFirst().sum(new double[1]);
              } catch (UncheckedIOException e) {
                thrown.add(e.getCause());
              }
            });
    waiting.start();
    waiting.interrupt();
    Throwable cause = thrown.poll(30, TimeUnit.SECONDS);
    assertTrue(cause instanceof ClosedByInterruptException, () -> String.valueOf(cause));
    ranks.forEach(Ranks::close);
  }
}

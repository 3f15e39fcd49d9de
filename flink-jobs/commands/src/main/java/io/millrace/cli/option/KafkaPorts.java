package io.millrace.cli.option;

import io.millrace.connectors.kafka.KafkaSettings;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.ClientDnsLookup;
import org.apache.kafka.clients.ClientUtils;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.config.ConfigException;

/** Finds out at once that no broker listens; Kafka's clients need 20 seconds for it. */
public final class KafkaPorts {

  private static final int PATIENCE_MILLIS = 3_000;

  private KafkaPorts() {}

  /**
   * Connects to the bootstrap servers, one after the other, until one accepts.
   *
   * @param option that names the brokers, for the message
   * @throws UserException if none does
   */
  public static void requireListener(KafkaSettings kafka, String option) {
    boolean silent = false;
    for (String server : kafka.bootstrapServers().split(",")) {
      try (Socket socket = new Socket()) {
        socket.connect(address(server.strip()), PATIENCE_MILLIS);
        return;
      } catch (UnknownHostException | ConfigException e) {
        // Kafka's client names the host.
        return;
      } catch (SocketTimeoutException e) {
        silent = true;
      } catch (IOException e) {
        // Refused: the next one may listen.
      }
    }
    // A wrong property has its own message.
    kafka.client(Admin::create, Map.of()).close(Duration.ZERO);
    throw new UserException(
        "%s at %s; start a Kafka with './millrace broker', or name yours with %s"
            .formatted(
                silent ? "nothing answers" : "nothing listens", kafka.bootstrapServers(), option));
  }

  private static InetSocketAddress address(String server) throws UnknownHostException {
    InetSocketAddress address =
        ClientUtils.parseAndValidateAddresses(List.of(server), ClientDnsLookup.USE_ALL_DNS_IPS)
            .getFirst();
    if (address.isUnresolved()) {
      throw new UnknownHostException(server);
    }
    return address;
  }
}

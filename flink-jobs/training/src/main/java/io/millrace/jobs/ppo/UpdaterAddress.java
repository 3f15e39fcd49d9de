package io.millrace.jobs.ppo;

import io.millrace.model.parallel.Rendezvous;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.util.OutputTag;

/**
 * Where the first updater takes the connections of the others in this attempt of the job. Flink
 * carries it to them, on an edge without other records.
 *
 * @param secret of this attempt
 */
public record UpdaterAddress(String host, int port, byte[] secret) {

  static final OutputTag<UpdaterAddress> OUTPUT =
      new OutputTag<>("updater-address", TypeInformation.of(UpdaterAddress.class));

  static UpdaterAddress of(Rendezvous.Address address) {
    return new UpdaterAddress(address.host(), address.port(), address.secret());
  }

  Rendezvous.Address toAddress() {
    return new Rendezvous.Address(host, port, secret);
  }

  /** Without the secret. */
  @Override
  public String toString() {
    return host + ":" + port;
  }
}

package io.millrace.serve.http;

import io.helidon.common.configurable.Resource;
import io.helidon.common.pki.Keys;
import io.helidon.common.tls.Tls;
import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.file.Path;

/** TLS from files in PEM form. */
final class ServerTls {

  private static final int LARGEST = 1 << 20;

  private ServerTls() {}

  /**
   * @throws IllegalArgumentException naming the file that cannot be used
   */
  static Tls of(HttpSettings.Tls files) {
    Resource certificates = resource("tls-certificate", files.certificates());
    Resource key = resource("tls-key", files.privateKey());
    try {
      Keys keys = Keys.builder().pem(pem -> pem.certChain(certificates).key(key)).build();
      return Tls.builder()
          .privateKey(keys.privateKey().orElseThrow())
          .privateKeyCertChain(keys.certChain())
          .build();
    } catch (RuntimeException e) {
      throw new IllegalArgumentException(
          "tls-certificate %s and tls-key %s are no certificate and PKCS #8 key in PEM form: %s"
              .formatted(files.certificates(), files.privateKey(), e.getMessage()),
          e);
    }
  }

  private static Resource resource(String option, Path file) {
    try {
      return Resource.create(option, PlainFiles.read(file, LARGEST));
    } catch (IOException e) {
      throw new IllegalArgumentException(
          "%s: %s cannot be read: %s".formatted(option, file, e.getMessage()), e);
    }
  }
}

package io.millrace.connectors.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.config.ConfigException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** References to secrets, resolved by the client that connects. */
class SecretsTest {

  @TempDir private Path directory;

  private static String refusal(String reference) {
    KafkaSettings settings =
        new KafkaSettings("127.0.0.1:1", "t.", Map.of("ssl.key.password", reference));
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> settings.client(properties -> Admin.create(properties), Map.of()).close());
    return e.getMessage();
  }

  @Test
  void aMissingSecretIsRefusedByNameWhereTheClientIsMade() {
    String variable = refusal("${env:MILLRACE_NOT_SET}");
    assertTrue(variable.contains("'MILLRACE_NOT_SET', which is not set in this process"), variable);
    String file = refusal("${file:" + directory.resolve("none") + "}");
    assertTrue(file.contains("none', which does not exist"), file);
  }

  @Test
  void secretsAreReadWhole() throws Exception {
    Path file = Files.writeString(directory.resolve("s"), "p: w=1\n");
    try (SecretFiles files = new SecretFiles();
        EnvironmentSecrets environment = new EnvironmentSecrets()) {
      assertEquals(
          Map.of(file.toString(), "p: w=1"), files.get("", Set.of(file.toString())).data());
      assertEquals(
          Map.of("PATH", System.getenv("PATH")), environment.get("", Set.of("PATH")).data());
      Files.write(file, new byte[70_000]);
      assertThrows(ConfigException.class, () -> files.get("", Set.of(file.toString())));
    }
  }
}

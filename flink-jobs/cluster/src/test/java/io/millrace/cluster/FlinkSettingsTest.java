package io.millrace.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.apache.flink.configuration.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FlinkSettingsTest {

  @TempDir private Path directory;

  private static ClusterSettings settings(Map<String, String> properties) {
    return new ClusterSettings(
        1,
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        OptionalInt.empty(),
        properties);
  }

  @Test
  void propertiesOverrideDefaultsButNotTheClustersOwnSettings() {
    Configuration flink =
        FlinkSettings.of(
            new ClusterDirectory(directory),
            settings(
                Map.of(
                    "s3.endpoint", "http://localhost:9000",
                    "heartbeat.interval", "3s",
                    "rest.port", "1")),
            new Ports(8081, 9092, 2181, List.of(9249, 9250)));
    assertEquals("http://localhost:9000", flink.getString("s3.endpoint", ""));
    assertEquals("3s", flink.getString("heartbeat.interval", ""));
    assertEquals("8081", flink.getString("rest.port", ""));
  }

  @Test
  void onlyTheOwnerReadsSecrets() throws IOException {
    ClusterSettings settings = settings(Map.of("s3.secret-key", "s3cret"));
    assertFalse(settings.toString().contains("s3cret"), settings.toString());
    FlinkSettings.write(Configuration.fromMap(settings.properties()), directory);
    FlinkSettings.write(Configuration.fromMap(settings.properties()), directory);
    Path file = directory.resolve("config.yaml");
    assertTrue(Files.readString(file).contains("s3cret"));
    assertEquals(
        Set.of(PosixFilePermission.OWNER_READ, PosixFilePermission.OWNER_WRITE),
        Files.getPosixFilePermissions(file));
  }
}

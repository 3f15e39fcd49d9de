package io.millrace.connectors.registry;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.millrace.connectors.TestRecords;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.SchemaFiles;
import io.millrace.schemas.wire.SchemaSource;
import io.millrace.schemas.wire.WireFormat;
import io.millrace.schemas.wire.WireFormatException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import org.apache.avro.Schema;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SchemaRegistryTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String PROMPT = SchemaFiles.selfContained(Prompt.getClassSchema());

  private final AtomicLong nanos = new AtomicLong();
  private FakeRegistry fake;
  private SchemaRegistry registry;

  @BeforeEach
  void start() throws IOException {
    fake = new FakeRegistry();
    registry = open(fake.url(), Map.of());
  }

  @AfterEach
  void stop() {
    fake.close();
  }

  private SchemaRegistry open(String url, Map<String, String> properties) {
    return new SchemaRegistry(
        new RegistrySettings(url, properties), properties, Duration.ofSeconds(2), nanos::get);
  }

  @Test
  void anIdIsAskedForOnce() {
    fake.put(1, PROMPT);
    SchemaSource.Registered found = registry.schema(1);
    assertEquals(PROMPT, SchemaFiles.selfContained(found.avro().orElseThrow()));
    assertSame(found, registry.schema(1));
    assertEquals(List.of("GET /schemas/ids/1"), fake.requests());
  }

  @Test
  void anUnknownIdIsRefusedForAMinuteWithoutARequest() {
    for (int i = 0; i < 100; i++) {
      assertRefused("unknown-schema", "schema id 5 is not in the registry at " + fake.url(), 5);
    }
    assertEquals(1, fake.requests().size());
    fake.put(5, PROMPT);
    nanos.addAndGet(Duration.ofSeconds(59).toNanos());
    assertRefused("unknown-schema", "schema id 5", 5);
    nanos.addAndGet(Duration.ofSeconds(2).toNanos());
    assertTrue(registry.schema(5).avro().isPresent());
    assertEquals(2, fake.requests().size());
    assertRefused("unknown-schema", "schema id -7", -7);
    assertEquals(2, fake.requests().size());
  }

  private void assertRefused(String reason, String message, int id) {
    WireFormatException e =
        assertThrows(WireFormatException.class, () -> registry.schema(id), message);
    assertEquals(reason, e.reason(), e.getMessage());
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  @Test
  void whatIsNoAvroSchemaIsRefused() {
    fake.put(1, "{\"type\":\"recrd\"}");
    assertRefused("incompatible-schema", "schema id 1 of the registry at", 1);
    fake.put(2, "[".repeat(100_000));
    assertRefused("incompatible-schema", "is no Avro schema", 2);
    fake.answer(3, JSON.createObjectNode().put("schemaType", "PROTOBUF").put("schema", "x"));
    assertRefused("incompatible-schema", "schema id 3 is of type PROTOBUF", 3);
    fake.put(4, "\"" + "x".repeat(3 << 20) + "\"");
    assertRefused("incompatible-schema", "has more than 2097152 bytes", 4);
    fake.answer(5, JSON.createObjectNode().put("schemaType", "JSON").put("schema", "{}"));
    assertTrue(registry.schema(5).avro().isEmpty());
  }

  @Test
  void schemasThatASchemaRefersToAreFetched() {
    String turn =
        "{\"type\":\"record\",\"name\":\"Turn\",\"namespace\":\"a\",\"fields\":[{\"name\":\"content\",\"type\":\"string\"}]}";
    fake.put("turn value", 1, turn);
    fake.answer(2, referring("turn value"));
    Schema found = registry.schema(2).avro().orElseThrow();
    assertEquals("a.Turn", found.getField("turn").schema().getFullName());
    fake.answer(3, referring("gone"));
    assertRefused("incompatible-schema", "refers to /subjects/gone/versions/1, which is not", 3);
    // A schema that refers to itself through another.
    ObjectNode cycle = referring("cycle");
    fake.put("cycle", 4, "");
    fake.answer(4, cycle);
    assertRefused("incompatible-schema", "schema id 4", 4);
  }

  private static ObjectNode referring(String subject) {
    ObjectNode body =
        JSON.createObjectNode()
            .put(
                "schema",
                "{\"type\":\"record\",\"name\":\"Prompt\",\"namespace\":\"a\",\"fields\":[{\"name\":\"turn\",\"type\":\"a.Turn\"}]}");
    body.putArray("references")
        .addObject()
        .put("name", "a.Turn")
        .put("subject", subject)
        .put("version", 1);
    return body;
  }

  @Test
  void aFailureThatPassesIsWaitedForAndSaysNothingOfTheRecord() {
    fake.put(1, PROMPT);
    fake.fail(3);
    assertTrue(registry.schema(1).avro().isPresent());
    assertEquals(4, fake.requests().size());
    fake.fail(1000);
    RegistryException e = assertThrows(RegistryException.class, () -> registry.schema(2));
    assertTrue(e.getMessage().contains("HTTP 503 starting"), e.getMessage());
    assertTrue(e.getMessage().contains(fake.url()), e.getMessage());
    fake.fail(0);
    fake.put(2, PROMPT);
    assertTrue(registry.schema(2).avro().isPresent(), "the failure is not remembered");
    String url = fake.url();
    fake.close();
    RegistryException down =
        assertThrows(RegistryException.class, () -> open(url, Map.of()).schema(1));
    assertTrue(down.getMessage().contains("does not answer /schemas/ids/1"), down.getMessage());
  }

  @Test
  void theSecondAddressAnswersForTheFirst() {
    fake.put(1, PROMPT);
    assertTrue(
        open("http://127.0.0.1:1, " + fake.url() + "/", Map.of()).schema(1).avro().isPresent());
  }

  /** A proxy's 404 is no answer of a registry: no record becomes a dead letter of it. */
  @Test
  void aWrongAddressIsNoUnknownId() throws IOException {
    HttpServer other =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    other.createContext(
        "/",
        exchange -> {
          byte[] page = "<html>404</html>".getBytes(StandardCharsets.UTF_8);
          exchange.sendResponseHeaders(404, page.length);
          exchange.getResponseBody().write(page);
          exchange.close();
        });
    other.start();
    try {
      SchemaRegistry wrong = open("http://127.0.0.1:" + other.getAddress().getPort(), Map.of());
      RegistryException e = assertThrows(RegistryException.class, () -> wrong.schema(1));
      assertTrue(e.getMessage().contains("is it the URL of a registry"), e.getMessage());
      assertThrows(RegistryException.class, wrong::require);
    } finally {
      other.stop(0);
    }
  }

  @Test
  void credentialsAreSentAndNeverPrinted() throws IOException {
    fake.put(1, PROMPT);
    String user = "reader:s3cret-ü";
    String header =
        "Basic " + Base64.getEncoder().encodeToString(user.getBytes(StandardCharsets.UTF_8));
    fake.requireAuthorization(header);
    RegistryException refused = assertThrows(RegistryException.class, () -> registry.schema(1));
    assertTrue(refused.getMessage().contains("HTTP 401 Unauthorized"), refused.getMessage());
    assertTrue(refused.getMessage().contains("basic.auth.user.info"), refused.getMessage());
    assertEquals(1, fake.requests().size(), "a refusal does not pass by itself");
    Map<String, String> properties = Map.of("basic.auth.user.info", user);
    assertTrue(open(fake.url(), properties).schema(1).avro().isPresent());
    assertFalse(new RegistrySettings(fake.url(), properties).toString().contains("s3cret"));
    KafkaSettings kafka =
        KafkaSettings.of("localhost:1")
            .with(new WireSettings(new RegistrySettings(fake.url(), properties), Map.of()));
    assertFalse(kafka.toString().contains("s3cret"), kafka.toString());
    IllegalArgumentException noToken =
        assertThrows(
            IllegalArgumentException.class,
            () -> open(fake.url(), Map.of("bearer.auth.token", "s3cret\ntwo")));
    assertFalse(noToken.getMessage().contains("s3cret"), noToken.getMessage());
    fake.requireAuthorization("Bearer token-1");
    assertTrue(
        open(fake.url(), Map.of("bearer.auth.token", "token-1")).schema(1).avro().isPresent());
  }

  @Test
  void secretsAreReadWhereTheClientConnects(@TempDir Path directory) throws IOException {
    Path secret = Files.writeString(directory.resolve("secret"), "reader:from-file\n");
    fake.requireAuthorization(
        "Basic "
            + Base64.getEncoder()
                .encodeToString("reader:from-file".getBytes(StandardCharsets.UTF_8)));
    Map<String, String> reference = Map.of("basic.auth.user.info", "${file:" + secret + "}");
    KafkaSettings kafka =
        KafkaSettings.of("localhost:1")
            .with(new WireSettings(new RegistrySettings(fake.url(), reference), Map.of()));
    kafka.requireRegistry();
    Files.delete(secret);
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> kafka.decoder(Topic.PROMPTS));
    assertTrue(
        e.getMessage().startsWith("schema.registry.properties: they refer to the file"),
        e.getMessage());
  }

  @Test
  void tlsIsConfiguredAsForKafka(@TempDir Path directory) throws Exception {
    Path store = directory.resolve("store.p12");
    Process keytool =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-keyalg",
                "EC",
                "-alias",
                "r",
                "-dname",
                "CN=localhost",
                "-ext",
                "SAN=ip:127.0.0.1,dns:localhost",
                "-validity",
                "2",
                "-storetype",
                "PKCS12",
                "-storepass",
                "changeit",
                "-keystore",
                store.toString())
            .inheritIO()
            .start();
    assertTrue(keytool.waitFor(60, TimeUnit.SECONDS));
    KeyStore keys = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(store)) {
      keys.load(in, "changeit".toCharArray());
    }
    KeyManagerFactory managers = KeyManagerFactory.getInstance("PKIX");
    managers.init(keys, "changeit".toCharArray());
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(managers.getKeyManagers(), null, null);
    HttpsServer server =
        HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setHttpsConfigurator(new HttpsConfigurator(context));
    try (FakeRegistry tls = new FakeRegistry(server)) {
      tls.put(1, PROMPT);
      String url = "https://127.0.0.1:" + tls.port();
      assertThrows(RegistryException.class, () -> open(url, Map.of()).schema(1));
      Map<String, String> trust =
          Map.of(
              "ssl.truststore.type", "PKCS12",
              "ssl.truststore.location", store.toString(),
              "ssl.truststore.password", "changeit");
      assertTrue(open(url, trust).schema(1).avro().isPresent());
      String pem =
          "-----BEGIN CERTIFICATE-----\n"
              + Base64.getMimeEncoder().encodeToString(keys.getCertificate("r").getEncoded())
              + "\n-----END CERTIFICATE-----\n";
      Path file = Files.writeString(directory.resolve("ca.pem"), pem);
      assertTrue(
          open(
                  url,
                  Map.of("ssl.truststore.type", "PEM", "ssl.truststore.location", file.toString()))
              .schema(1)
              .avro()
              .isPresent());
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () ->
                  open(
                      url,
                      Map.of(
                          "ssl.truststore.location", store.toString(),
                          "ssl.truststore.type", "PKCS12",
                          "ssl.truststore.password", "wr0ng")));
      assertFalse(e.getMessage().contains("wr0ng"), e.getMessage());
    }
  }

  @Test
  void aSchemaIsRegisteredOnceUnderTheNameOfItsTopic() throws IOException {
    KafkaSettings kafka =
        KafkaSettings.of("localhost:1")
            .with(WireSettings.of(fake.url(), Map.of(), Map.of("prompts", "confluent")));
    kafka.requireRegistry();
    kafka.requireRegistry();
    assertEquals(1, fake.requests("POST /subjects/millrace.prompts-value/versions"));
    byte[] value = kafka.encoder(Topic.PROMPTS).encode(TestRecords.prompt("p"));
    assertEquals(0, value[0]);
    assertEquals("p", kafka.decoder(Topic.PROMPTS).decode(value).getPromptId());
    assertEquals(1, fake.requests("POST /subjects/millrace.prompts-value/versions"));
    // Another build with another schema: the registry's rules of compatibility forbid it.
    fake.put("other.prompts-value", 9, "\"string\"");
    IOException e =
        assertThrows(IOException.class, kafka.at("localhost:1", "other.")::requireRegistry);
    assertTrue(e.getMessage().contains("refuses the schema of Prompt as incompatible"), e + "");
  }

  @Test
  void settingsNameWhatIsWrong() {
    assertWrong("must be http://HOST:PORT", "registry:8081", Map.of(), Map.of());
    assertWrong("must have no user", "http://u:pw@registry:8081", Map.of(), Map.of());
    assertWrong(
        "schema.registry.properties are set and schema.registry.url is not",
        "",
        Map.of("bearer.auth.token", "t"),
        Map.of());
    assertWrong(
        "schema.registry.properties.basic.auth.user.inf is no property",
        "http://r:1",
        Map.of("basic.auth.user.inf", "u:p"),
        Map.of());
    assertWrong("schema.output.promts names no topic", "", Map.of(), Map.of("promts", "json"));
    assertWrong("schema.output.prompts: 'avro'", "", Map.of(), Map.of("prompts", "avro"));
    assertWrong("needs a registry", "", Map.of(), Map.of("prompts", "confluent"));
    WireSettings settings = WireSettings.of("", Map.of(), Map.of("rewards", "json"));
    assertEquals(WireFormat.JSON, settings.formatOf(Topic.REWARDS));
    assertEquals(WireFormat.SINGLE_OBJECT, settings.formatOf(Topic.PROMPTS));
  }

  private static void assertWrong(
      String message, String url, Map<String, String> properties, Map<String, String> output) {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> WireSettings.of(url, properties, output));
    assertTrue(e.getMessage().contains(message), e.getMessage());
    assertFalse(e.getMessage().contains("pw"), e.getMessage());
  }
}

package io.millrace.jobs.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.jobs.config.yaml.YamlTree;
import java.io.Serializable;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.configuration.MemorySize;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** YAML to sections, with records of this test. */
class RecordBinderTest {

  enum Color {
    RED,
    LIGHT_BLUE
  }

  record Inner(
      @Option(value = "3", help = "", min = "1", max = "9", formerly = "number") int count,
      @Option(value = "2s", help = "", min = "1ms", max = "1d") Duration pause)
      implements Serializable {}

  record Sample(
      @Option(
              value = "0.5",
              help = "",
              above = "0",
              below = "1",
              formerly = {"portion", "part"})
          double share,
      @Option(value = "a, b", help = "", required = true) List<String> names,
      @Option(value = "1, 2", help = "", min = "0", max = "5") List<Double> grid,
      @Option(value = "", help = "", above = "0", max = "10") Map<String, Double> weights,
      @Option(value = "", help = "") Map<String, String> secrets,
      @Option(value = "red", help = "") Color color,
      @Option(value = "true", help = "") boolean flag,
      @Option(value = "7", help = "") long number,
      @Option(value = "1gb", help = "") MemorySize size,
      @Option(value = "data", help = "", path = true) String directory,
      @Option(value = "", help = "", path = true, local = true) String file,
      Inner inner)
      implements ConfigSection {

    Sample {
      if (names.contains("bad")) {
        throw new IllegalArgumentException("names must not contain bad");
      }
      if (names.contains("worse")) {
        throw new IllegalArgumentException("sample.names must not contain worse");
      }
    }

    @Override
    public void check(MillraceConfig config) {
      if (config.section(Other.class).limit() < inner.count()) {
        throw new IllegalArgumentException("other.limit must be at least sample.inner.count");
      }
    }
  }

  record Other(@Option(value = "9", help = "", min = "0", max = "99") int limit)
      implements ConfigSection {}

  private static final References REFERENCES = new References(Map.of("PASSWORD", "s3cret"));

  private static MillraceConfig bind(String yaml) throws Exception {
    Map<String, Class<? extends ConfigSection>> types = new LinkedHashMap<>();
    types.put("sample", Sample.class);
    types.put("other", Other.class);
    return RecordBinder.bind(
        types, types.values(), YamlTree.parse(yaml), REFERENCES, problem -> {});
  }

  private static Sample sample(String... lines) throws Exception {
    return bind("sample:\n  " + String.join("\n  ", lines)).section(Sample.class);
  }

  private static List<String> problems(String... lines) {
    return assertThrows(ConfigException.class, () -> sample(lines), Arrays.toString(lines))
        .problems();
  }

  @Test
  void absentKeysTakeTheirDefaults() throws Exception {
    assertEquals(
        new Sample(
            0.5,
            List.of("a", "b"),
            List.of(1.0, 2.0),
            Map.of(),
            Map.of(),
            Color.RED,
            true,
            7,
            MemorySize.parse("1gb"),
            "data",
            "",
            new Inner(3, Duration.ofSeconds(2))),
        bind("").section(Sample.class));
  }

  @Test
  void everyTypeOfValueIsRead() throws Exception {
    assertEquals(
        new Sample(
            0.25,
            List.of("x", "y z"),
            List.of(0.0, 5.0),
            Map.of("own", 0.9, "a.b", 10.0),
            Map.of("user", "u", "password", "<${env:PASSWORD}>"),
            Color.LIGHT_BLUE,
            false,
            -1_000_000,
            MemorySize.parse("500mb"),
            "s3://bucket/data",
            "here.txt",
            new Inner(9, Duration.ofMillis(1))),
        sample(
            "share: 2.5e-1",
            "names: [x, y z]",
            "grid: 0, 5",
            "weights: {own: 0.9, a: {b: 10}}",
            "secrets: {user: u, password: '<${env:PASSWORD}>'}",
            "color: light-blue",
            "flag: false",
            "number: -1_000_000",
            "size: 500mb",
            "directory: s3://bucket/data",
            "file: here.txt",
            "inner: {count: 9, pause: 1ms}"));
  }

  @Test
  void aTextKeepsTheCharactersOfTheFile() throws Exception {
    for (String text :
        List.of("1.10", "007", "0x1F", "1e3", "yes", "True", "1_000", "2026-01-01")) {
      assertEquals(text, sample("directory: " + text).directory());
      assertEquals(Map.of("a", text), sample("secrets: {a: " + text + "}").secrets());
      assertEquals(List.of(text), sample("names: [" + text + "]").names());
    }
    assertEquals(17, sample("number: 017").number());
    assertEquals(List.of(0.5, 1.0), sample("grid: [.5, 1.]").grid());
    assertEquals(true, sample("flag: True").flag());
  }

  @Test
  void anAliasStandsForTheValueOfItsAnchor() throws Exception {
    Sample sample = sample("names: &n [x, y]", "file: &f here", "directory: *f");
    assertEquals("here", sample.directory());
    assertEquals(
        4,
        bind("{sample: {inner: {count: &c 4}}, other: {limit: *c}}").section(Other.class).limit());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "a: &x [*x] | line 1: an alias stands inside the value of its own anchor",
        "a: *x | line 1: found undefined alias x",
        "sample: {<<: {share: 1}} | line 1: merge keys (<<) are not supported",
        "sample: {share: !foo 1} | line 1: the tag !foo has no meaning here",
        "sample: {share: !!binary MQ==} | line 1: the tag tag:yaml.org,2002:binary",
        "sample: {share: 1, share: 2} | line 1: the key share occurs twice",
        "sample: {? [a, b] : c} | line 1: a key must be a text",
        "sample: {'': c} | line 1: a key must be a text",
        "~: c | line 1: a key must be a text",
        "- a | line 1: the file must hold sections with keys, not one sequence",
        "5 | line 1: the file must hold sections with keys, not one scalar",
      })
  void aFileThatIsNoTreeOfTextsIsRefusedWithTheLine(String yaml, String problem) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> YamlTree.parse(yaml)).getMessage();
    assertTrue(message.startsWith(problem), message);
  }

  @Test
  void hostileYamlEndsEarlyAndInOneLine() {
    StringBuilder laughs = new StringBuilder("a: &a0 [x, x]\n");
    for (int i = 1; i < 25; i++) {
      laughs.append("b%d: &a%d [*a%d, *a%d]\n".formatted(i, i, i - 1, i - 1));
    }
    for (String yaml :
        List.of(
            laughs.toString(),
            "a: " + "[".repeat(100_000),
            "a: ".repeat(100_000),
            "a: " + "x".repeat(4_000_000),
            "a: b\n---\nc: d\n",
            "a:\n\tb: c\n",
            "a: \0",
            "a: \ud800")) {
      String message =
          assertThrows(IllegalArgumentException.class, () -> YamlTree.parse(yaml)).getMessage();
      assertEquals(1, message.lines().count(), message);
      assertTrue(message.length() < 200, message);
    }
  }

  @Test
  void aSettingReplacesTheKeyHoweverTheFileWritesIt() throws Exception {
    for (String yaml :
        List.of(
            "kafka: {properties: {client: {id: x}}}",
            "kafka: {properties: {client.id: x}}",
            "kafka: {properties.client: {id: x}}")) {
      ObjectNode tree = YamlTree.parse(yaml);
      ConfigLoader.set(tree, "kafka.properties.client.id=y");
      assertEquals(
          "y", tree.at("/kafka/properties").get("client.id").asText(), "instead of " + yaml);
      assertEquals(-1, tree.toString().indexOf("\"x\""), tree.toString());
    }
    for (String setting : List.of("ppo..kl=1", "ppo.=1", ".kl=1", "kafka.properties.=1", "=1")) {
      assertThrows(
          ConfigException.class, () -> ConfigLoader.set(YamlTree.parse(""), setting), setting);
    }
  }

  @Test
  void aDefaultFillsAKeyWithoutAValue() {
    for (String yaml : List.of("", "kafka:", "kafka: {bootstrap-servers: }")) {
      MillraceConfig config =
          new ConfigTree(YamlTree.parse(yaml))
              .withDefaults(List.of("kafka.bootstrap-servers=here:1"))
              .config(List.of());
      assertEquals("here:1", config.kafka().bootstrapServers(), yaml);
    }
  }

  @Test
  void theCacheIsNeverTheStore() {
    for (String setting : List.of("x", "./x", "y/../x", Path.of("x").toAbsolutePath().toString())) {
      ConfigException e =
          assertThrows(
              ConfigException.class,
              () ->
                  new ConfigTree(YamlTree.parse("checkpoints: {directory: x}"))
                      .config(List.of("checkpoints.cache-directory=" + setting)),
              setting);
      assertTrue(
          e.getMessage().startsWith("checkpoints.cache-directory and directory must differ"),
          e.getMessage());
    }
  }

  @Test
  void everyPropertyThatKafkaRefusesIsReported() {
    ConfigException e =
        assertThrows(
            ConfigException.class,
            () ->
                new ConfigTree(
                        YamlTree.parse(
                            "kafka: {properties: {request.timeout.ms: abc, retries: 1e9}}"))
                    .config(List.of()));
    assertEquals(2, e.problems().size(), e.getMessage());
  }

  @Test
  void anOldKeyIsAnsweredWithTheNewOne() {
    assertEquals(List.of("sample.portion is now called sample.share"), problems("portion: 0.1"));
    assertEquals(List.of("sample.part is now called sample.share"), problems("part: 0.1"));
    assertEquals(
        List.of("sample.inner.number is now called sample.inner.count"),
        problems("inner: {number: 2}"));
  }

  @Test
  void anUnknownKeyGetsASuggestion() {
    assertEquals(
        List.of("unknown key sample.shares: did you mean sample.share?"), problems("shares: 0.1"));
    String problem = problems("qqqqqqqqqqqq: 1").getFirst();
    assertTrue(problem.startsWith("unknown key sample.qqqqqqqqqqqq; the keys are "), problem);
    assertTrue(problem.contains("share, names"), problem);
    assertEquals(
        "unknown key samples: did you mean sample?",
        assertThrows(ConfigException.class, () -> bind("samples: {share: 0.1}"))
            .problems()
            .getFirst());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "share: 0 | share must be a number above 0 and below 1, not '0'",
        "share: 1 | share must be a number above 0 and below 1, not '1'",
        "share: NaN | share must be a number above 0 and below 1, not 'NaN'",
        "share: much | share must be a number above 0 and below 1, not 'much'",
        "share: 1d | share must be a number above 0 and below 1, not '1d'",
        "share: 0x1p-1 | share must be a number above 0 and below 1, not '0x1p-1'",
        "share: [1] | share must be one value, not [\"1\"]",
        "names: '' | names must have at least one element",
        "names: [] | names must have at least one element",
        "names: [[x]] | names must be a list of values; this element is none: [\"x\"]",
        "names: {x: y} | names must be a list of values, not the section {\"x\":\"y\"}",
        "names: [x, null] | names must be a list of values; this element is none: null",
        "names: [x, ~] | names must be a list of values; this element is none: null",
        "share: .inf | share must be a number above 0 and below 1, not '.inf'",
        "share: 1e400 | share must be a number above 0 and below 1, not '1e400'",
        "flag: yes | flag must be true or false, not 'yes'",
        "number: 0x10 | number must be a whole number, not '0x10'",
        "directory: ~/data | directory must be a path or a URI, not '~/data'; write the home",
        "secrets: {a: [x]} | secrets.a must be one value, not a list",
        "secrets: {a: } | secrets.a must be one value, not empty",
        "secrets: {a: {b: x}, a.b: y} | secrets.a.b occurs twice, with dots and as a section",
        "weights: {own: [1]} | weights.own must be one value, not a list",
        "grid: 1, 6 | grid must be a number from 0 to 5, not '6'",
        "weights: {own: 0} | weights.own must be a number above 0 and at most 10, not '0'",
        "weights: {own: x} | weights.own must be a number above 0 and at most 10, not 'x'",
        "weights: 3 | weights must be a section with keys, not the value \"3\"",
        "color: green | color must be one of red, light-blue, not 'green'",
        "flag: yes please | flag must be true or false, not 'yes please'",
        "number: 1.5 | number must be a whole number, not '1.5'",
        "number: 9223372036854775808 | number must be a whole number, not '9223372036854775808'",
        "number: \"1_\" | number must be a whole number, not '1_'",
        "size: much | size must be a size, such as 500mb or 20gb, not 'much'",
        "directory: s3:x | directory must be a path or a URI, not 's3:x'",
        "'directory: \"a\\0\"' | directory must be a path or a URI, not 'a",
        "file: s3://b/x | file must be a path on this machine, not 's3://b/x'",
        "inner: 3 | inner must be a section with keys, not the value \"3\"",
        "inner: {count: 0} | inner.count must be a whole number from 1 to 9, not '0'",
        "inner: {count: 10} | inner.count must be a whole number from 1 to 9, not '10'",
        "inner: {count: 99999999999} |"
            + " inner.count must be a whole number from 1 to 9, not '99999999999'",
        "inner: {pause: 5} | inner.pause must be a duration from 1ms to 1d, such as",
        "inner: {pause: -5s} | inner.pause must be a duration from 1ms to 1d, such as",
        "inner: {pause: 0ms} | inner.pause must be a duration from 1ms to 1d, such as",
        "inner: {pause: 25h} | inner.pause must be a duration from 1ms to 1d, such as",
        "inner: {pause: 9223372036854775807d} | inner.pause must be a duration from 1ms to 1d,"
            + " such",
        "secrets: {a: '${env:NOT_SET}'} |"
            + " secrets.a refers to the environment variable 'NOT_SET', which is not set here",
        "names: bad | names must not contain bad",
        "names: worse | names must not contain worse"
      })
  void aBadValueIsRefusedWithItsKey(String line, String problem) {
    List<String> problems = problems(line);
    assertEquals(1, problems.size(), problems.toString());
    assertTrue(problems.getFirst().startsWith("sample." + problem), problems.getFirst());
  }

  @Test
  void allProblemsAreReportedAtOnce() {
    List<String> problems =
        problems("share: 2", "portion: 0.1", "shares: 1", "grid: 7, 1, 8", "inner: {count: 0}");
    assertEquals(6, problems.size(), problems.toString());
  }

  @Test
  void sectionsThatContradictEachOtherAreReportedWithBothKeys() throws Exception {
    assertEquals(List.of(), bind("sample: {inner: {count: 9}}").conflicts());
    assertEquals(
        List.of("other.limit must be at least sample.inner.count"),
        bind("{sample: {inner: {count: 5}}, other: {limit: 4}}").conflicts());
  }

  @Test
  void aJobKeepsOnlyTheSectionsThatItReads() throws Exception {
    MillraceConfig config = bind("");
    assertEquals(List.of(Sample.class, Other.class), new ArrayList<>(config.sections().keySet()));
    MillraceConfig kept = config.only(List.of(Other.class));
    assertEquals(List.of(Other.class), new ArrayList<>(kept.sections().keySet()));
    String message =
        assertThrows(IllegalStateException.class, () -> kept.section(Sample.class)).getMessage();
    assertEquals("this configuration has no Sample; it has [Other]", message);
    assertEquals(4, config.with(new Other(4)).section(Other.class).limit());
    assertThrows(
        IllegalStateException.class, () -> kept.with(config.section(Sample.class)), "an addition");
  }

  @Test
  void onlyRelativePathsBecomeAbsolute() throws Exception {
    Sample relative = bind("sample: {directory: a/../b}").withAbsolutePaths().section(Sample.class);
    assertEquals(Path.of("b").toAbsolutePath().toString(), relative.directory());
    assertEquals("", relative.file());
    assertEquals(List.of("a", "b"), relative.names());
    assertEquals(
        "s3://bucket/a",
        bind("sample: {directory: 's3://bucket/a'}")
            .withAbsolutePaths()
            .section(Sample.class)
            .directory());
  }

  @Test
  void onlyReferencesAreReplaced() {
    assertEquals("a s3cret, b", REFERENCES.resolve("a ${env:PASSWORD}, b"));
    assertEquals("${PASSWORD}", REFERENCES.resolve("${PASSWORD}"));
  }
}

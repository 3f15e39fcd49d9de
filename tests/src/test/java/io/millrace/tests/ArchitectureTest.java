package io.millrace.tests;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import io.millrace.schemas.PlainFiles;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileReader;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The layout of {@code docs/architecture.md}: imports go one way, no packages form a cycle, and no
 * package or module grows beyond what a reader can take in.
 */
class ArchitectureTest {

  private static final Path ROOT = Path.of("..");
  private static final int MOST_CLASSES_OF_A_PACKAGE = 25;
  private static final int MOST_LINES_OF_A_MODULE = 15_000;

  /** The packages of connectors/client. */
  private static final String[] CLIENT = {
    "io.millrace.connectors.http..",
    "io.millrace.connectors.kafka..",
    "io.millrace.connectors.registry..",
    "io.millrace.connectors.checkpoint.."
  };

  /** Packages from the bottom up: a layer may import from the layers above it in this list. */
  private static final List<Layer> LAYERS =
      List.of(
          new Layer("schemas", "io.millrace.schemas.."),
          new Layer("model", "io.millrace.model.."),
          new Layer("connectors", "io.millrace.connectors.."),
          new Layer("serve", "io.millrace.serve.."),
          new Layer("world", "io.millrace.world.."),
          new Layer("jobs", "io.millrace.jobs.."),
          new Layer("cluster", "io.millrace.cluster.."),
          new Layer("demo", "io.millrace.demo.."),
          new Layer("campaign", "io.millrace.campaign.."),
          new Layer("report", "io.millrace.report.."),
          new Layer("console", "io.millrace.console.."),
          new Layer("cli", "io.millrace.cli.."));

  record Layer(String name, String packages) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static JavaClasses classes;

  @BeforeAll
  static void read() {
    classes =
        new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("io.millrace");
    // A rule about no class at all would always hold.
    for (Layer layer : LAYERS) {
      String prefix = layer.packages().replace("..", "");
      assertTrue(
          classes.stream().anyMatch(c -> c.getPackageName().startsWith(prefix)), layer.name());
    }
  }

  static Stream<Layer> layers() {
    return LAYERS.stream();
  }

  @ParameterizedTest
  @MethodSource("layers")
  void aLayerImportsNothingFromAbove(Layer layer) {
    String[] above =
        LAYERS.subList(LAYERS.indexOf(layer) + 1, LAYERS.size()).stream()
            .map(Layer::packages)
            .toArray(String[]::new);
    if (above.length > 0) {
      noClasses()
          .that()
          .resideInAPackage(layer.packages())
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(above)
          .check(classes);
    }
  }

  @Test
  void neighboursStayApart() {
    noClasses()
        .that()
        .resideInAPackage("io.millrace.connectors..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("io.millrace.model..")
        .check(classes);
    noClasses()
        .that()
        .resideInAPackage("io.millrace.jobs..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("io.millrace.world..")
        .check(classes);
  }

  @Test
  void packagesFormNoCycle() {
    slices().matching("io.millrace.(**)").should().beFreeOfCycles().check(classes);
  }

  @Test
  void theModelKnowsNothingOfTheStream() {
    noClasses()
        .that()
        .resideInAPackage("io.millrace.model..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("org.apache.flink..", "org.apache.kafka..")
        .check(classes);
  }

  /** Serving processes run the client with a class path of a few jars. */
  @Test
  void theClientNeedsNoFlinkAndNoBroker() {
    noClasses()
        .that()
        .resideInAnyPackage("io.millrace.schemas..", CLIENT[0], CLIENT[1])
        .should()
        .dependOnClassesThat(
            resideInAnyPackage(
                    "org.apache.flink..",
                    "org.nd4j..",
                    "ai.djl..",
                    "kafka..",
                    "org.apache.kafka.server..",
                    "org.apache.kafka.metadata..",
                    "io.millrace.connectors..")
                .and(not(resideInAnyPackage(CLIENT))))
        .check(classes);
  }

  /** A server runs without Flink; the command line gives it the file systems of Flink. */
  @Test
  void theServerNeedsNoFlink() {
    noClasses()
        .that()
        .resideInAPackage("io.millrace.serve..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "org.apache.flink..",
            "io.millrace.connectors.flink..",
            "io.millrace.connectors.broker..")
        .check(classes);
    noClasses()
        .that()
        .resideInAnyPackage("io.millrace.jobs..", "io.millrace.cluster..", "io.millrace.demo..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("io.millrace.serve..")
        .check(classes);
  }

  @Test
  void onlyItsFactoryFindsABackend() {
    for (String backend : new String[] {"cpu", "nd4j", "torch"}) {
      noClasses()
          .that()
          .resideOutsideOfPackage("io.millrace.model." + backend + "..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("io.millrace.model." + backend + "..")
          .check(classes);
    }
  }

  @Test
  void noPackageHasMoreThan25Classes() throws IOException {
    Map<Path, Long> sizes = new TreeMap<>();
    for (Path source : sources("src/main/java")) {
      if (!source.endsWith("package-info.java")) {
        sizes.merge(source.getParent(), 1L, Long::sum);
      }
    }
    assertTrue(sizes.size() > 30, "found only " + sizes.keySet());
    sizes.values().removeIf(size -> size <= MOST_CLASSES_OF_A_PACKAGE);
    assertEquals(Map.of(), sizes);
  }

  @Test
  void noModuleHasMoreThan15000Lines() throws IOException {
    Map<String, Long> lines = new TreeMap<>();
    for (Path source : sources("src")) {
      try (Stream<String> text = Files.lines(source)) {
        lines.merge(module(source), text.count(), Long::sum);
      }
    }
    assertTrue(lines.size() > 15, "found only " + lines);
    lines.values().removeIf(count -> count <= MOST_LINES_OF_A_MODULE);
    assertEquals(Map.of(), lines);
  }

  private static String module(Path source) {
    return source.toString().replaceFirst("/src/.*", "");
  }

  private static List<Path> sources(String below) throws IOException {
    List<Path> sources = new ArrayList<>();
    for (String top : new String[] {"schemas", "model", "connectors", "flink-jobs", "tests"}) {
      try (Stream<Path> walk = Files.walk(ROOT.resolve(top))) {
        walk.filter(path -> path.toString().endsWith(".java"))
            .filter(path -> path.toString().contains("/" + below + "/"))
            .filter(path -> !path.toString().contains("/target/"))
            .forEach(sources::add);
      }
    }
    return sources;
  }

  /** Pipes and devices may never end, and files from outside may be of any size. */
  @Test
  void onlyPlainFilesOpensFilesToReadThem() {
    noClasses()
        .that()
        .doNotHaveFullyQualifiedName(PlainFiles.class.getName())
        .should()
        .callMethodWhere(
            describe(
                "reads a file",
                call ->
                    call.getTargetOwner().isEquivalentTo(Files.class)
                        && Set.of(
                                "readString",
                                "readAllBytes",
                                "readAllLines",
                                "lines",
                                "newBufferedReader",
                                "newInputStream")
                            .contains(call.getTarget().getName())))
        .orShould()
        .callConstructorWhere(
            describe(
                "opens a file",
                call ->
                    call.getTargetOwner().isEquivalentTo(FileInputStream.class)
                        || call.getTargetOwner().isEquivalentTo(FileReader.class)))
        .because("PlainFiles refuses pipes, devices and files that are too large")
        .check(classes);
  }

  /** Text from outside must not reach the terminal unescaped. */
  @Test
  void onlyTheCommandLineChoosesWhereOutputGoes() {
    noClasses()
        .that()
        .haveNameNotMatching("io\\.millrace\\.cli\\.(Millrace|ClassArchive)")
        .should()
        .callMethod(System.class, "setOut", PrintStream.class)
        .orShould()
        .accessField(FileDescriptor.class, "out")
        .orShould()
        .accessField(FileDescriptor.class, "err")
        .because("Millrace.escapeOutput escapes what commands print")
        .check(classes);
  }
}

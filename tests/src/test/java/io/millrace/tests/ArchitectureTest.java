package io.millrace.tests;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Dependencies point one way: flink-jobs → connectors → schemas, flink-jobs → model. */
class ArchitectureTest {

  private static JavaClasses classes;

  @BeforeAll
  static void read() {
    classes =
        new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("io.millrace");
    // Rules about nothing hold always: every module must be there.
    for (String module : new String[] {"schemas", "model", "connectors", "jobs"}) {
      Assertions.assertTrue(
          classes.stream().anyMatch(c -> c.getPackageName().startsWith("io.millrace." + module)),
          module);
    }
  }

  @Test
  void schemasDependOnNothingOfOurs() {
    noClasses()
        .that()
        .resideInAPackage("io.millrace.schemas..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("io.millrace.model..", "io.millrace.connectors..", "io.millrace.jobs..")
        .check(classes);
  }

  @Test
  void modelDependsOnNothingOfOursNorOnTheStream() {
    noClasses()
        .that()
        .resideInAPackage("io.millrace.model..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "io.millrace.schemas..",
            "io.millrace.connectors..",
            "io.millrace.jobs..",
            "org.apache.flink..",
            "org.apache.kafka..",
            "org.apache.avro..")
        .check(classes);
  }

  @Test
  void connectorsDependOnSchemasAlone() {
    noClasses()
        .that()
        .resideInAPackage("io.millrace.connectors..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("io.millrace.model..", "io.millrace.jobs..", "org.nd4j..")
        .check(classes);
  }

  @Test
  void nd4jStaysBehindTheBackend() {
    noClasses()
        .that()
        .resideOutsideOfPackage("io.millrace.model.tensor.nd4j..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("org.nd4j..")
        .check(classes);
  }
}

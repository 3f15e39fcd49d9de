package io.millrace.jobs.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.function.Supplier;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Every way in which a class that the user names cannot be used. */
class NamedClassTest {

  /** Usable. */
  public static final class Good implements Supplier<String> {
    @Override
    public String get() {
      return "good";
    }
  }

  /** Has no constructor without parameters. */
  public record Parameters(String get) implements Supplier<String> {}

  /** Cannot be instantiated. */
  public abstract static class Abstract implements Supplier<String> {}

  /** Its constructor fails. */
  public static final class Failing implements Supplier<String> {
    public Failing() {
      throw new IllegalStateException("no licence");
    }

    @Override
    public String get() {
      return "";
    }
  }

  /** Its static initialiser fails. */
  public static final class Uninitialisable implements Supplier<String> {
    static final int PORT = Integer.parseInt("eighty");

    @Override
    public String get() {
      return "" + PORT;
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "no.such.Name | is not on the class path (MILLRACE_CLASSPATH adds jars to it)",
        "'' | is not on the class path",
        "int | is not on the class path",
        "java.lang.String | does not implement java.util.function.Supplier",
        "java.util.function.Supplier | is not a concrete class",
        "io.millrace.jobs.runtime.NamedClassTest$Parameters | is not a concrete class",
        "io.millrace.jobs.runtime.NamedClassTest$Abstract | is not a concrete class",
        "io.millrace.jobs.runtime.NamedClassTest$Failing |"
            + " cannot be created: java.lang.IllegalStateException: no licence",
        "io.millrace.jobs.runtime.NamedClassTest$Uninitialisable |"
            + " cannot be created: java.lang.NumberFormatException",
        "io.millrace.jobs.config.NamedClassTest | is not on the class path",
      })
  void aClassThatCannotBeUsedIsRefusedWithTheReason(String name, String reason) {
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () ->
                    NamedClass.create(
                        "some.option", name, Supplier.class, "is not on the class path"))
            .getMessage();
    assertTrue(message.startsWith("some.option " + name + " " + reason), message);
  }

  @ParameterizedTest
  @CsvSource("io.millrace.jobs.runtime.NamedClassTest$Good")
  void aClassThatCanBeUsedIsCreated(String name) {
    assertEquals("good", NamedClass.create("some.option", name, Supplier.class, "").get());
  }
}

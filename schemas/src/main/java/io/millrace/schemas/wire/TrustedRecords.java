package io.millrace.schemas.wire;

import java.util.List;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.util.ClassSecurityValidator;
import org.apache.avro.util.ClassSecurityValidator.ClassSecurityPredicate;

/**
 * Allows Avro to instantiate the generated records and the records of operator state. Since version
 * 1.12 Avro refuses every class that is not on its list of trusted classes.
 *
 * <p>Flink also decodes records in tasks that have run none of our code before. Avro loads
 * conversions from the class path whenever it initialises a record class. So this class is a
 * conversion, the one that Avro has for timestamps, and its static initialiser extends the list.
 *
 * <p>When Avro's class loader cannot see this jar, set {@code
 * -Dorg.apache.avro.SERIALIZABLE_PACKAGES=io.millrace.schemas} instead.
 */
public final class TrustedRecords extends TimeConversions.TimestampMillisConversion {
  private static final String PREFIX = "io.millrace.";

  static {
    // Reflection over the records of operator state also needs List, the type of their lists.
    ClassSecurityPredicate before = ClassSecurityValidator.getGlobal();
    ClassSecurityValidator.setGlobal(
        ClassSecurityValidator.composite(
            type -> type.getName().startsWith(PREFIX) || type.equals(List.class), before));
  }

  /** Runs the static initialiser, unless it has run already. */
  public static void ensure() {
    // Calling any static method is enough.
  }
}

package io.millrace.schemas.wire;

import java.util.List;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.util.ClassSecurityValidator;
import org.apache.avro.util.ClassSecurityValidator.ClassSecurityPredicate;

/**
 * Tells Avro that the generated records may be instantiated; since 1.12 it refuses every class that
 * nobody vouched for.
 *
 * <p>Records are also decoded where none of our code ran before, such as between two Flink tasks.
 * Avro looks for conversions on the class path whenever a record class is initialised; this is one
 * (that of Avro itself, for timestamps), so that being found is what vouches. Only where Avro's
 * class loader cannot see this jar must {@code
 * -Dorg.apache.avro.SERIALIZABLE_PACKAGES=io.millrace.schemas} do it.
 */
public final class TrustedRecords extends TimeConversions.TimestampMillisConversion {
  private static final String PREFIX = "io.millrace.";

  static {
    ClassSecurityPredicate before = ClassSecurityValidator.getGlobal();
    ClassSecurityValidator.setGlobal(
        ClassSecurityValidator.composite(
            type -> type.getName().startsWith(PREFIX) || type.equals(List.class), before));
  }

  /** Makes sure that the records are trusted. */
  public static void ensure() {
    // The static initialiser did it.
  }
}

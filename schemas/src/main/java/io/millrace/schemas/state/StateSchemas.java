package io.millrace.schemas.state;

import io.millrace.schemas.wire.TrustedRecords;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import org.apache.avro.Schema;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.reflect.ReflectData;

/** The Avro schemas of Java records. */
final class StateSchemas {

  /** Avro's reflection, with the logical types of topic records. */
  static final ReflectData DATA = data();

  private static final ConcurrentMap<Class<?>, Schema> SCHEMAS = new ConcurrentHashMap<>();

  private StateSchemas() {}

  private static ReflectData data() {
    TrustedRecords.ensure();
    ReflectData data = new ReflectData(StateSchemas.class.getClassLoader());
    data.addLogicalTypeConversion(new TimeConversions.TimestampMillisConversion());
    return data;
  }

  /** The schema of a record type. It has a field for each component, with the same name. */
  static Schema of(Class<? extends Record> type) {
    return SCHEMAS.computeIfAbsent(type, DATA::getSchema);
  }
}

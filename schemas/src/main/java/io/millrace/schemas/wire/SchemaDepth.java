package io.millrace.schemas.wire;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.List;
import org.apache.avro.Schema;

/**
 * How deep a schema is nested. Avro walks schemas by recursion, so that one from outside with too
 * many levels would end the thread with a stack overflow.
 */
final class SchemaDepth {

  /** Far above any record that people write; some frames of the stack for each level. */
  static final int MOST = 200;

  private SchemaDepth() {}

  /** Whether a schema has more levels than {@link #MOST}; a type within itself adds none. */
  static boolean isTooDeep(Schema root) {
    IdentityHashMap<Schema, Integer> heights = new IdentityHashMap<>();
    Deque<Schema> open = new ArrayDeque<>();
    open.push(root);
    while (!open.isEmpty()) {
      Schema schema = open.peek();
      if (heights.putIfAbsent(schema, 0) == null) {
        inner(schema).stream().filter(each -> !heights.containsKey(each)).forEach(open::push);
        continue;
      }
      open.pop();
      int height = 1 + inner(schema).stream().mapToInt(heights::get).max().orElse(0);
      if (height > MOST) {
        return true;
      }
      heights.put(schema, height);
    }
    return false;
  }

  private static List<Schema> inner(Schema schema) {
    return switch (schema.getType()) {
      case RECORD -> schema.getFields().stream().map(Schema.Field::schema).toList();
      case UNION -> schema.getTypes();
      case ARRAY -> List.of(schema.getElementType());
      case MAP -> List.of(schema.getValueType());
      default -> List.of();
    };
  }
}

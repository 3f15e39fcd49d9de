package io.millrace.jobs.config;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Binds a tree of settings to a record of records. Keys are the components' names in kebab-case; a
 * nested record is a section; what is absent takes its {@link Option}'s default. Problems are
 * collected, each with the full key, so that one run shows them all. The values of a map of texts
 * may be {@link References}.
 */
final class RecordBinder {

  private final List<String> problems = new ArrayList<>();
  private final References references;

  private RecordBinder(References references) {
    this.references = references;
  }

  /** The record, or every problem found on the way. */
  static <T extends Record> T bind(Class<T> type, ObjectNode settings, References references) {
    RecordBinder binder = new RecordBinder(references);
    T bound = binder.section(type, settings, "");
    if (!binder.problems.isEmpty()) {
      throw new ConfigException(binder.problems);
    }
    return bound;
  }

  static String key(RecordComponent component) {
    return component.getName().replaceAll("([a-z0-9])([A-Z])", "$1-$2").toLowerCase(Locale.ROOT);
  }

  private <T extends Record> T section(Class<T> type, ObjectNode node, String prefix) {
    RecordComponent[] components = type.getRecordComponents();
    List<String> known = Arrays.stream(components).map(RecordBinder::key).toList();
    node.fieldNames()
        .forEachRemaining(
            name -> {
              if (!known.contains(name)) {
                problems.add(
                    "unknown key "
                        + prefix
                        + name
                        + Suggestion.nearest(name, known)
                            .map(near -> ": did you mean " + prefix + near + "?")
                            .orElse("; there are " + String.join(", ", known)));
              }
            });
    int before = problems.size();
    Object[] values = new Object[components.length];
    for (int i = 0; i < components.length; i++) {
      values[i] = component(components[i], node.get(known.get(i)), prefix + known.get(i));
    }
    if (problems.size() > before) {
      return null;
    }
    try {
      Constructor<T> constructor =
          type.getDeclaredConstructor(
              Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new));
      return constructor.newInstance(values);
    } catch (InvocationTargetException e) {
      problems.add(prefix + e.getCause().getMessage());
      return null;
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(type + " is not a configuration record", e);
    }
  }

  private Object component(RecordComponent component, JsonNode node, String key) {
    Class<?> type = component.getType();
    if (type.isRecord()) {
      if (node != null && !node.isNull() && !node.isObject()) {
        problems.add(key + " is a section, not the value " + node);
        return null;
      }
      ObjectNode section =
          node instanceof ObjectNode object ? object : JsonNodeFactory.instance.objectNode();
      return section(type.asSubclass(Record.class), section, key + ".");
    }
    if (type == Map.class) {
      Class<?> value =
          (Class<?>) ((ParameterizedType) component.getGenericType()).getActualTypeArguments()[1];
      return map(value, node, key);
    }
    Option option = component.getAnnotation(Option.class);
    if (option == null) {
      throw new IllegalStateException(key + " has no @Option");
    }
    try {
      if (type == List.class) {
        Class<?> element =
            (Class<?>) ((ParameterizedType) component.getGenericType()).getActualTypeArguments()[0];
        List<Object> list = new ArrayList<>();
        for (String text : texts(node, option.value(), key)) {
          list.add(Values.parse(element, text));
        }
        return List.copyOf(list);
      }
      if (node != null && node.isContainerNode()) {
        problems.add(key + " is one value, not " + node);
        return null;
      }
      String text = node == null || node.isNull() ? option.value() : node.asText();
      return Values.parse(type, text);
    } catch (IllegalArgumentException e) {
      problems.add(key + " " + e.getMessage());
      return null;
    }
  }

  private List<String> texts(JsonNode node, String fallback, String key) {
    List<String> texts = new ArrayList<>();
    if (node != null && node.isArray()) {
      for (JsonNode element : node) {
        if (element.isContainerNode()) {
          problems.add(key + " is a list of values, not of " + element);
        } else {
          texts.add(element.asText());
        }
      }
      return texts;
    }
    String text = node == null || node.isNull() ? fallback : node.asText();
    for (String part : text.split(",", -1)) {
      if (!part.isBlank()) {
        texts.add(part.strip());
      }
    }
    return texts;
  }

  /** Values under any key, nested sections flattened with dots. */
  private Map<String, Object> map(Class<?> type, JsonNode node, String key) {
    Map<String, Object> map = new LinkedHashMap<>();
    if (node == null || node.isNull()) {
      return map;
    }
    if (!node.isObject()) {
      problems.add(key + " is a section, not the value " + node);
      return map;
    }
    Map<String, String> texts = new LinkedHashMap<>();
    flatten(node, "", texts);
    texts.forEach(
        (name, text) -> {
          try {
            map.put(
                name, type == String.class ? references.resolve(text) : Values.parse(type, text));
          } catch (IllegalArgumentException e) {
            problems.add(key + "." + name + " " + e.getMessage());
          }
        });
    return map;
  }

  private static void flatten(JsonNode node, String prefix, Map<String, String> map) {
    node.properties()
        .forEach(
            entry -> {
              if (entry.getValue().isObject()) {
                flatten(entry.getValue(), prefix + entry.getKey() + ".", map);
              } else {
                map.put(prefix + entry.getKey(), entry.getValue().asText());
              }
            });
  }
}

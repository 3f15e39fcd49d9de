package io.millrace.jobs.config;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.schemas.Nearest;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Binds a tree of settings to records. A key is the name of a record component in kebab-case; a
 * nested record is a section; an absent key takes the default of its {@link Option}. The binder
 * collects every problem with its full key. The values of a map of texts may be {@link References}.
 */
final class RecordBinder {

  private final List<String> problems = new ArrayList<>();
  private final References references;

  private RecordBinder(References references) {
    this.references = references;
  }

  /**
   * Binds all sections.
   *
   * @param used sections whose problems are errors
   * @param unused takes the problems of the other sections; a section with one is left out
   * @throws ConfigException with every problem of the sections used
   */
  static MillraceConfig bind(
      Map<String, Class<? extends ConfigSection>> types,
      Collection<Class<? extends ConfigSection>> used,
      ObjectNode settings,
      References references,
      Consumer<String> unused) {
    RecordBinder binder = new RecordBinder(references);
    binder.reportUnknown(settings, "", types.keySet(), Map.of());
    Map<Class<? extends ConfigSection>, ConfigSection> sections = new LinkedHashMap<>();
    types.forEach(
        (key, type) -> {
          RecordBinder own = used.contains(type) ? binder : new RecordBinder(references);
          Object section = own.nested(type, settings.get(key), key);
          if (own != binder) {
            own.problems.forEach(unused);
          }
          if (section != null) {
            sections.put(type, type.cast(section));
          }
        });
    if (!binder.problems.isEmpty()) {
      throw new ConfigException(binder.problems);
    }
    return new MillraceConfig(sections);
  }

  static String key(RecordComponent component) {
    return component.getName().replaceAll("([a-z0-9])([A-Z])", "$1-$2").toLowerCase(Locale.ROOT);
  }

  private void reportUnknown(
      ObjectNode node, String prefix, Collection<String> known, Map<String, String> renamed) {
    for (String name : (Iterable<String>) node::fieldNames) {
      if (renamed.containsKey(name)) {
        problems.add("%s%s is now called %s%s".formatted(prefix, name, prefix, renamed.get(name)));
      } else if (!known.contains(name)) {
        problems.add(
            "unknown key "
                + prefix
                + name
                + Nearest.to(name, known)
                    .map(near -> ": did you mean " + prefix + near + "?")
                    .orElse("; the keys are " + String.join(", ", known)));
      }
    }
  }

  private Object section(Class<?> type, ObjectNode node, String prefix) {
    RecordComponent[] components = type.getRecordComponents();
    List<String> known = Arrays.stream(components).map(RecordBinder::key).toList();
    Map<String, String> renamed = new HashMap<>();
    for (RecordComponent component : components) {
      Option option = component.getAnnotation(Option.class);
      for (String former : option == null ? new String[0] : option.formerly()) {
        renamed.put(former, key(component));
      }
    }
    reportUnknown(node, prefix, known, renamed);
    int before = problems.size();
    Object[] values = new Object[components.length];
    for (int i = 0; i < components.length; i++) {
      values[i] = component(components[i], node.get(known.get(i)), prefix + known.get(i));
    }
    if (problems.size() > before) {
      return null;
    }
    try {
      return Records.make(type, components, values);
    } catch (InvocationTargetException e) {
      // A domain object of another package may name the full key already.
      String message = e.getCause().getMessage();
      problems.add(message.startsWith(prefix) ? message : prefix + message);
      return null;
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(type + " is not a configuration record", e);
    }
  }

  private Object nested(Class<?> type, JsonNode node, String key) {
    if (node != null && !node.isNull() && !node.isObject()) {
      problems.add(key + " must be a section with keys, not the value " + node);
      return null;
    }
    ObjectNode section =
        node instanceof ObjectNode object ? object : JsonNodeFactory.instance.objectNode();
    return section(type, section, key + ".");
  }

  private Object component(RecordComponent component, JsonNode node, String key) {
    Class<?> type = component.getType();
    if (type.isRecord()) {
      return nested(type, node, key);
    }
    Option option = component.getAnnotation(Option.class);
    if (option == null) {
      throw new IllegalStateException(key + " has no @Option");
    }
    Bounds bounds = new Bounds(valueType(component), option);
    if (type == Map.class) {
      return map(bounds, valueType(component) == String.class, node, key);
    }
    if (type == List.class) {
      return list(bounds, option, node, key);
    }
    if (node != null && node.isContainerNode()) {
      problems.add(key + " must be one value, not " + node);
      return null;
    }
    return value(bounds, node == null || node.isNull() ? option.value() : node.asText(), key);
  }

  /** The type of an option's value; of the elements of a list and of the values of a map. */
  static Class<?> valueType(RecordComponent component) {
    return component.getGenericType() instanceof ParameterizedType generic
        ? (Class<?>) generic.getActualTypeArguments()[generic.getActualTypeArguments().length - 1]
        : component.getType();
  }

  private Object value(Bounds bounds, String text, String key) {
    try {
      return bounds.parse(text);
    } catch (IllegalArgumentException e) {
      problems.add(key + " " + e.getMessage());
      return null;
    }
  }

  private List<Object> list(Bounds bounds, Option option, JsonNode node, String key) {
    int before = problems.size();
    List<Object> list = new ArrayList<>();
    texts(node, option.value(), key).forEach(text -> list.add(value(bounds, text, key)));
    if (option.required() && list.isEmpty() && problems.size() == before) {
      problems.add(key + " must have at least one element");
    }
    return problems.size() == before ? List.copyOf(list) : null;
  }

  private List<String> texts(JsonNode node, String fallback, String key) {
    List<String> texts = new ArrayList<>();
    if (node != null && node.isArray()) {
      for (JsonNode element : node) {
        if (element.isContainerNode() || element.isNull()) {
          problems.add(key + " must be a list of values; this element is none: " + element);
        } else {
          texts.add(element.asText());
        }
      }
      return texts;
    }
    if (node != null && node.isObject()) {
      problems.add(key + " must be a list of values, not the section " + node);
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

  /** Values under any key; dots join the keys of nested sections. */
  private Map<String, Object> map(Bounds bounds, boolean isTexts, JsonNode node, String key) {
    Map<String, Object> map = new LinkedHashMap<>();
    if (node == null || node.isNull()) {
      return map;
    }
    if (!node.isObject()) {
      problems.add(key + " must be a section with keys, not the value " + node);
      return map;
    }
    Map<String, String> texts = new LinkedHashMap<>();
    flatten(node, "", key, texts);
    texts.forEach((name, text) -> put(map, bounds, isTexts, name, text, key + "." + name));
    return map;
  }

  private void put(
      Map<String, Object> map,
      Bounds bounds,
      boolean isText,
      String name,
      String text,
      String key) {
    try {
      if (isText) {
        // A reference that leads nowhere is an error now; its content is read where it is used.
        String _ = references.resolve(text);
      }
      map.put(name, isText ? text : bounds.parse(text));
    } catch (IllegalArgumentException e) {
      problems.add(key + " " + e.getMessage());
    }
  }

  private void flatten(JsonNode node, String prefix, String key, Map<String, String> map) {
    for (Map.Entry<String, JsonNode> entry : node.properties()) {
      String name = prefix + entry.getKey();
      JsonNode value = entry.getValue();
      if (value.isObject()) {
        flatten(value, name + ".", key, map);
      } else if (!value.isTextual()) {
        // An element may be a secret.
        problems.add(
            "%s.%s must be one value, not %s"
                .formatted(key, name, value.isArray() ? "a list" : "empty"));
      } else if (map.put(name, value.asText()) != null) {
        problems.add(
            "%s.%s occurs twice, with dots and as a section; remove one".formatted(key, name));
      }
    }
  }
}

package io.millrace.jobs.config.yaml;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Set;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.composer.Composer;
import org.yaml.snakeyaml.error.MarkedYAMLException;
import org.yaml.snakeyaml.error.YAMLException;
import org.yaml.snakeyaml.nodes.MappingNode;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.nodes.NodeTuple;
import org.yaml.snakeyaml.nodes.ScalarNode;
import org.yaml.snakeyaml.nodes.SequenceNode;
import org.yaml.snakeyaml.nodes.Tag;
import org.yaml.snakeyaml.parser.ParserImpl;
import org.yaml.snakeyaml.reader.StreamReader;
import org.yaml.snakeyaml.resolver.Resolver;

/**
 * YAML as a tree of texts. A value keeps the characters of the file: the option's type decides
 * whether {@code 1.10}, {@code 007} or {@code yes} is a text or a number. Anchors and aliases work;
 * merge keys and tags of applications do not.
 */
public final class YamlTree {

  /** More values than any configuration has; aliases of aliases would make billions. */
  private static final int MOST_VALUES = 100_000;

  private static final Set<Tag> TAGS =
      Set.of(Tag.MAP, Tag.SEQ, Tag.STR, Tag.INT, Tag.FLOAT, Tag.BOOL, Tag.NULL, Tag.TIMESTAMP);

  private final Deque<Node> parents = new ArrayDeque<>();
  private int values;

  private YamlTree() {}

  /**
   * Reads one document. An empty one is an empty section.
   *
   * @throws IllegalArgumentException with the line and the reason
   */
  public static ObjectNode parse(String text) {
    LoaderOptions options = new LoaderOptions();
    Node root;
    try {
      root =
          new Composer(new ParserImpl(new StreamReader(text), options), new Resolver(), options)
              .getSingleNode();
    } catch (MarkedYAMLException e) {
      int line = e.getProblemMark() == null ? 0 : e.getProblemMark().getLine();
      throw new IllegalArgumentException("line %d: %s".formatted(line + 1, e.getProblem()), e);
    } catch (YAMLException e) {
      throw new IllegalArgumentException(
          e.getMessage().lines().findFirst().orElse("it cannot be read"), e);
    }
    if (root == null || root.getTag().equals(Tag.NULL)) {
      return JsonNodeFactory.instance.objectNode();
    }
    if (root instanceof MappingNode mapping) {
      return (ObjectNode) new YamlTree().convert(mapping);
    }
    throw problem(root, "the file must hold sections with keys, not one " + root.getNodeId());
  }

  private JsonNode convert(Node node) {
    if (!TAGS.contains(node.getTag())) {
      throw problem(node, "the tag %s has no meaning here; remove it".formatted(node.getTag()));
    }
    if (parents.contains(node)) {
      throw problem(node, "an alias stands inside the value of its own anchor; write the value");
    }
    values++;
    if (values > MOST_VALUES) {
      throw problem(
          node, "the file has more than %d values; remove aliases".formatted(MOST_VALUES));
    }
    parents.push(node);
    JsonNode converted =
        switch (node) {
          case MappingNode mapping -> object(mapping);
          case SequenceNode sequence -> array(sequence);
          case ScalarNode scalar when scalar.getTag().equals(Tag.NULL) ->
              JsonNodeFactory.instance.nullNode();
          case ScalarNode scalar -> JsonNodeFactory.instance.textNode(scalar.getValue());
          default -> throw problem(node, "it holds a " + node.getNodeId());
        };
    parents.pop();
    return converted;
  }

  private ObjectNode object(MappingNode mapping) {
    ObjectNode object = JsonNodeFactory.instance.objectNode();
    for (NodeTuple entry : mapping.getValue()) {
      Node key = entry.getKeyNode();
      if (key.getTag().equals(Tag.MERGE)) {
        throw problem(key, "merge keys (<<) are not supported; write the keys");
      }
      if (!(key instanceof ScalarNode scalar)
          || key.getTag().equals(Tag.NULL)
          || scalar.getValue().isBlank()) {
        throw problem(key, "a key must be a text that is not empty");
      }
      if (object.has(scalar.getValue())) {
        throw problem(key, "the key %s occurs twice; remove one".formatted(scalar.getValue()));
      }
      object.set(scalar.getValue(), convert(entry.getValueNode()));
    }
    return object;
  }

  private ArrayNode array(SequenceNode sequence) {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    sequence.getValue().forEach(element -> array.add(convert(element)));
    return array;
  }

  private static IllegalArgumentException problem(Node node, String reason) {
    return new IllegalArgumentException(
        "line %d: %s".formatted(node.getStartMark().getLine() + 1, reason));
  }
}

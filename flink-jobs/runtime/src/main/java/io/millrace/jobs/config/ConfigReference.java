package io.millrace.jobs.config;

import java.lang.reflect.RecordComponent;
import java.util.List;
import java.util.Map;

/**
 * Makes the page {@code docs/configuration.md}: every option with its default and allowed values.
 */
public final class ConfigReference {

  private ConfigReference() {}

  /** The whole page. */
  public static String markdown() {
    StringBuilder page =
        new StringBuilder(
            """
            # Configuration

            One YAML file holds the sections below. `--set section.key=value` overrides the file. Millrace checks every value
            before a job starts and reports all problems at once, unknown keys included.

            - A duration is written `500ms`, `30s`, `5m`, `2h` or `1d`; a size `500mb` or `20gb`; a large number also `1_000_000`.
            - A list is written in brackets or with commas.
            - An empty default is an empty text, or no keys.

            This page is generated from the configuration records, and a test compares the two. To write it again:

            ```
            ./mvnw -pl flink-jobs/cli -am test -Dtest=ConfigReferenceTest -Dsurefire.failIfNoSpecifiedTests=false -Dmillrace.write-docs=true
            ```
            """);
    ConfigSections.all().forEach((key, type) -> section(page, type, key + "."));
    return page.toString();
  }

  private static void section(StringBuilder page, Class<?> type, String prefix) {
    boolean table = false;
    for (RecordComponent component : type.getRecordComponents()) {
      Option option = component.getAnnotation(Option.class);
      if (option == null) {
        continue;
      }
      if (!table) {
        page.append("\n## ")
            .append(prefix, 0, prefix.length() - 1)
            .append("\n\n| key | default | allowed | meaning |\n| --- | --- | --- | --- |\n");
        table = true;
      }
      String key = prefix + RecordBinder.key(component);
      page.append("| `")
          .append(component.getType() == Map.class ? key + ".*" : key)
          .append("` | ")
          .append(option.value().isEmpty() ? "" : "`" + option.value() + "`")
          .append(" | ")
          .append(allowed(component, option))
          .append(" | ")
          .append(option.help())
          .append(option.fixed() ? " A job that continues from its state keeps this value." : "")
          .append(" |\n");
    }
    for (RecordComponent component : type.getRecordComponents()) {
      if (component.getType().isRecord()) {
        section(page, component.getType(), prefix + RecordBinder.key(component) + ".");
      }
    }
  }

  private static String allowed(RecordComponent component, Option option) {
    String value = new Bounds(RecordBinder.valueType(component), option).toString();
    if (component.getType() == List.class) {
      return "a list; each " + value;
    }
    return component.getType() == Map.class ? "any keys; each " + value : value;
  }
}

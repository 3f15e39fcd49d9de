package io.millrace.jobs.config;

import java.lang.reflect.RecordComponent;
import java.util.Map;

/** Every option with its default and meaning, as the page {@code docs/configuration.md}. */
public final class ConfigReference {

  private ConfigReference() {}

  /** The page. */
  public static String markdown() {
    StringBuilder page =
        new StringBuilder(
            """
            # Configuration

            One YAML file holds the sections below; `--set section.key=value` goes on top of it. Unknown keys and bad values are
            reported all at once. Durations are written `500ms`, `30s`, `5m`, `2h`; lists in brackets or separated by commas.
            This page is made from the configuration records; a test keeps it true.
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
            .append(prefix.substring(0, prefix.length() - 1))
            .append("\n\n| key | default | allowed | meaning |\n| --- | --- | --- | --- |\n");
        table = true;
      }
      String key = prefix + RecordBinder.key(component);
      page.append("| `")
          .append(component.getType() == Map.class ? key + ".*" : key)
          .append("` | ")
          .append(option.value().isEmpty() ? "" : "`" + option.value() + "`")
          .append(" | ")
          .append(new Bounds(component.getType(), option))
          .append(" | ")
          .append(option.help())
          .append(" |\n");
    }
    for (RecordComponent component : type.getRecordComponents()) {
      if (component.getType().isRecord()) {
        section(page, component.getType(), prefix + RecordBinder.key(component) + ".");
      }
    }
  }
}

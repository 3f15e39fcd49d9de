package io.millrace.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigReference;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

/** Messages advise only commands, options, keys, pages, variables and artifacts that exist. */
class AdviceTest {
  private static final Pattern TEXT = Pattern.compile("\"((?:[^\"\\\\\\n]|\\\\.)*)\"");
  private static final Pattern JOINED = Pattern.compile("\"\\s*\\+\\s*\"");
  private static final Pattern COMMAND =
      Pattern.compile("millrace ([a-z][a-z-]+)(?: ([a-z][a-z-]+))?((?: +[^ ;,.()'\"]+)*)");
  private static final Pattern FLAG = Pattern.compile("--[a-z][a-z-]+");
  private static final Pattern KEY = Pattern.compile("`([a-z-]+(?:\\.[a-z*-]+)+)`");

  private static final Pattern FILE = Pattern.compile("\\.(json|lock|safetensors|yaml)$");

  /** A page, and the section of it that a message names in one of two forms. */
  private static final Pattern PAGE =
      Pattern.compile(
          "(docs/[A-Za-z0-9/_-]+\\.md)(?:, (?:\\\\\"([^\"\\\\]+)\\\\\"|([A-Z][A-Za-z ]+)))?");

  private static final Pattern OPTION = Pattern.compile("(?<![A-Za-z0-9-])--[a-z][a-z-]*");
  private static final Pattern VARIABLE = Pattern.compile("(?:MILLRACE|FLINK)_[A-Z_]+");

  /** Programs of others, whose options the texts mention. */
  private static final Pattern OTHERS =
      Pattern.compile("kafka-[a-z-]+\\.sh[^;,]*|iconv[^;,]*|--(?:add|delete|enable)-[a-z-]+");

  /** A text of the sources, which may be the message of an error. */
  private record Advice(String file, String text) {}

  private static Path root() {
    Path root = Path.of("").toAbsolutePath();
    while (!Files.exists(root.resolve("docs/configuration.md"))) {
      root = root.getParent();
    }
    return root;
  }

  private static List<Advice> texts() throws IOException {
    Path root = root();
    List<Advice> texts = new ArrayList<>();
    for (String top : new String[] {"schemas", "model", "connectors", "flink-jobs"}) {
      try (Stream<Path> files = Files.walk(root.resolve(top))) {
        for (Path file :
            files
                .filter(path -> path.toString().contains("/src/main/java/"))
                .filter(path -> path.toString().endsWith(".java"))
                .toList()) {
          String source = JOINED.matcher(Files.readString(file)).replaceAll("");
          Matcher text = TEXT.matcher(source);
          while (text.find()) {
            texts.add(new Advice(root.relativize(file).toString(), text.group(1)));
          }
        }
      }
    }
    return texts;
  }

  @Test
  void commandsAndTheirOptionsExist() throws Exception {
    CommandLine millrace = Millrace.commandLine();
    Map<String, String> unknown = new TreeMap<>();
    int found = 0;
    for (Advice advice : texts()) {
      Matcher command = COMMAND.matcher(advice.text());
      while (command.find()) {
        CommandLine named = millrace.getSubcommands().get(command.group(1));
        if (named == null) {
          // "Millrace" may also be the subject of a sentence, but not in lower case.
          unknown.put(command.group(), advice.file());
          continue;
        }
        found++;
        CommandLine sub =
            command.group(2) == null ? null : named.getSubcommands().get(command.group(2));
        Set<String> options = new HashSet<>(named.getCommandSpec().optionsMap().keySet());
        if (sub != null) {
          options.addAll(sub.getCommandSpec().optionsMap().keySet());
        }
        Matcher flag = FLAG.matcher(command.group(3));
        while (flag.find()) {
          if (!options.contains(flag.group())) {
            unknown.put(command.group(), advice.file());
          }
        }
      }
    }
    assertEquals(Map.of(), unknown);
    assertTrue(found > 50, "found only " + found);
  }

  @Test
  void configurationKeysExist() throws Exception {
    Set<String> keys = new TreeSet<>();
    Matcher key = KEY.matcher(ConfigReference.markdown());
    while (key.find()) {
      keys.add(key.group(1));
    }
    Set<String> sections =
        keys.stream().map(k -> k.substring(0, k.indexOf('.'))).collect(Collectors.toSet());
    Pattern mentioned =
        Pattern.compile(
            "(?<![A-Za-z0-9./_:{-])(?:"
                + sections.stream().map(Pattern::quote).collect(Collectors.joining("|"))
                + ")\\.[a-z][a-z-]*(?:\\.[a-z][a-z-]*)*");
    Map<String, String> unknown = new TreeMap<>();
    int found = 0;
    for (Advice advice : texts()) {
      if (advice.file().startsWith("model/core/src/main/java/io/millrace/model/llama")
          || advice.file().endsWith("TokenizerJson.java")) {
        continue; // Hugging Face's names of tensors, and keys of tokenizer.json
      }
      Matcher mention = mentioned.matcher(advice.text());
      while (mention.find()) {
        String named = mention.group();
        if (FILE.matcher(named).find()) {
          continue;
        }
        boolean known =
            keys.stream()
                .anyMatch(
                    k ->
                        k.equals(named)
                            || k.startsWith(named + ".")
                            || (k.endsWith(".*") && named.startsWith(k.replace("*", ""))));
        found++;
        if (!known) {
          unknown.put(named, advice.file());
        }
      }
    }
    assertEquals(Map.of(), unknown);
    assertTrue(found > 50, "found only " + found);
  }

  @Test
  void pagesAndTheirSectionsExist() throws Exception {
    Map<String, String> unknown = new TreeMap<>();
    int sections = 0;
    for (Advice advice : texts()) {
      Matcher mention = PAGE.matcher(advice.text());
      while (mention.find()) {
        Path page = root().resolve(mention.group(1));
        String section = mention.group(2) == null ? mention.group(3) : mention.group(2);
        if (!Files.exists(page)) {
          unknown.put(mention.group(), advice.file());
        } else if (section != null) {
          sections++;
          String text = Files.readString(page);
          if (!text.contains("# " + section + "\n") && !text.contains("**" + section + ".**")) {
            unknown.put(mention.group(), advice.file());
          }
        }
      }
    }
    assertEquals(Map.of(), unknown);
    assertTrue(sections > 1, "found only " + sections);
  }

  /** Options without a command before them belong to some command. */
  @Test
  void optionsExist() throws Exception {
    Set<String> options = new TreeSet<>();
    collect(Millrace.commandLine(), options);
    Map<String, String> unknown = new TreeMap<>();
    int found = 0;
    for (Advice advice : texts()) {
      if (advice.text().startsWith("--") && !advice.text().contains(" ")) {
        continue; // the name of an option, or an argument for a process of Flink
      }
      Matcher option = OPTION.matcher(OTHERS.matcher(advice.text()).replaceAll(""));
      while (option.find()) {
        found++;
        if (!options.contains(option.group())) {
          unknown.put(option.group(), advice.file());
        }
      }
    }
    assertEquals(Map.of(), unknown);
    assertTrue(found > 50, "found only " + found);
  }

  private static void collect(CommandLine command, Set<String> options) {
    options.addAll(command.getCommandSpec().optionsMap().keySet());
    command.getSubcommands().values().forEach(sub -> collect(sub, options));
  }

  @Test
  void environmentVariablesAreRead() throws Exception {
    String readers = Files.readString(root().resolve("millrace"));
    Set<String> read = new TreeSet<>();
    Matcher own = VARIABLE.matcher(readers);
    while (own.find()) {
      read.add(own.group());
    }
    // Flink reads these itself.
    read.add("FLINK_CONF_DIR");
    // Servers read their keys themselves, so that no launcher prints them.
    read.add("MILLRACE_API_KEYS");
    read.add("MILLRACE_CONSOLE_ACCOUNTS");
    read.add("MILLRACE_SERVE_KEY");
    Map<String, String> unknown = new TreeMap<>();
    int found = 0;
    for (Advice advice : texts()) {
      Matcher variable = VARIABLE.matcher(advice.text());
      while (variable.find()) {
        found++;
        if (!read.contains(variable.group())) {
          unknown.put(variable.group(), advice.file());
        }
      }
    }
    assertEquals(Map.of(), unknown);
    assertTrue(found > 3, "found only " + found);
  }

  @Test
  void artifactsExist() throws Exception {
    Set<String> artifacts = new TreeSet<>();
    for (String module :
        List.of(
            "connectors/client",
            "connectors/flink",
            "model/cpu",
            "model/nd4j",
            "model/torch",
            "schemas")) {
      Matcher artifact =
          Pattern.compile("<artifactId>(.*)</artifactId>\\s*<name>")
              .matcher(Files.readString(root().resolve(module).resolve("pom.xml")));
      assertTrue(artifact.find(), module);
      artifacts.add(artifact.group(1));
    }
    Pattern mentioned = Pattern.compile("millrace-(?:client|connectors|model|schemas)[a-z0-9-]*");
    Map<String, String> unknown = new TreeMap<>();
    int found = 0;
    for (Advice advice : texts()) {
      Matcher artifact = mentioned.matcher(advice.text());
      while (artifact.find()) {
        found++;
        if (!artifacts.contains(artifact.group())) {
          unknown.put(artifact.group(), advice.file());
        }
      }
    }
    assertEquals(Map.of(), unknown);
    assertTrue(found > 2, "found only " + found);
  }
}

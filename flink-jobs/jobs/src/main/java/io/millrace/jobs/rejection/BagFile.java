package io.millrace.jobs.rejection;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.model.chat.Message;
import io.millrace.model.chat.Role;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.rejection.RejectionBag.Entry;
import io.millrace.model.rejection.RejectionBag.Scores;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * The bag that a run of rejection sampling leaves when it ends, as JSON Lines. A line has the
 * dialogue with its response as chat messages, so that the file can be learned from as
 * demonstrations too.
 */
public final class BagFile {

  private static final ObjectMapper JSON =
      new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  private BagFile() {}

  /**
   * Where a run leaves it, given the version that the run published last, in a store of this
   * machine.
   */
  public static Path of(MillraceConfig config, long version) {
    return CheckpointStore.localPath(config.checkpoints().directory())
        .resolve(path(config, version));
  }

  /** The same wherever the store is, as {@code rejection-sampling.bag} names it. */
  public static String location(MillraceConfig config, long version) {
    String directory = config.checkpoints().directory();
    return CheckpointStore.isLocal(directory)
        ? of(config, version).toString()
        : directory.replaceFirst("/+$", "") + "/" + path(config, version);
  }

  /** Below the checkpoint directory. */
  private static String path(MillraceConfig config, long version) {
    RejectionSamplingSection section = config.section(RejectionSamplingSection.class);
    String name = section.hasStudent() ? section.studentName() : config.model().name();
    return "bags/%s-v%06d.jsonl".formatted(name, version);
  }

  /** Leaves the bag in the store, wherever that is. */
  public static void leave(MillraceConfig config, long version, List<Entry> entries)
      throws IOException {
    if (CheckpointStore.isLocal(config.checkpoints().directory())) {
      write(of(config, version), entries);
    } else {
      JobSettings.store(config).put(path(config, version), file -> write(file, entries));
    }
  }

  /** Writes the whole file, or leaves what was there. */
  public static void write(Path file, List<Entry> entries) throws IOException {
    Files.createDirectories(file.getParent());
    Path part = file.resolveSibling(file.getFileName() + ".writing");
    try (Writer writer = Files.newBufferedWriter(part)) {
      for (Entry entry : entries) {
        writer.write(line(entry) + "\n");
      }
    }
    Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  private static String line(Entry entry) {
    ObjectNode line = JSON.createObjectNode();
    line.put("promptId", entry.promptId());
    ArrayNode messages = line.putArray("messages");
    entry.dialogue().forEach(message -> add(messages, message));
    add(messages, Message.assistant(entry.text()));
    line.put("isSafety", entry.isSafety());
    line.put("policyVersion", entry.policyVersion());
    line.put("temperature", entry.temperature());
    line.put("helpfulnessScore", entry.scores().helpfulness());
    line.put("safetyScore", entry.scores().safety());
    line.put("helpfulnessVersion", entry.scores().helpfulnessVersion());
    line.put("safetyVersion", entry.scores().safetyVersion());
    add(line.putArray("promptTokens"), entry.prompt());
    add(line.putArray("responseTokens"), entry.response());
    return line.toString();
  }

  private static void add(ArrayNode messages, Message message) {
    messages
        .addObject()
        .put("role", message.role().name().toLowerCase(Locale.ROOT))
        .put("content", message.content());
  }

  private static void add(ArrayNode array, int[] values) {
    for (int value : values) {
      array.add(value);
    }
  }

  /**
   * Reads a file that {@link #write} wrote.
   *
   * @throws IOException naming the line that is none of a bag's
   */
  public static List<Entry> read(Path file) throws IOException {
    return read(file.toString());
  }

  /**
   * Reads a file that {@link #write} wrote.
   *
   * @param file a path, or a URI
   * @throws IOException naming the line that is none of a bag's
   */
  public static List<Entry> read(String file) throws IOException {
    List<Entry> entries = new ArrayList<>();
    try (BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(CheckpointStore.read(file), StandardCharsets.UTF_8))) {
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        try {
          entries.add(entry(JSON.readTree(line)));
        } catch (JsonProcessingException | IllegalArgumentException e) {
          throw new IOException(
              "%s:%d is no line of a bag: %s".formatted(file, entries.size() + 1, e.getMessage()),
              e);
        }
      }
    }
    return entries;
  }

  /**
   * Checks that a model takes what is in a bag.
   *
   * @throws IllegalArgumentException naming the entry that it does not
   */
  static void requireFits(List<Entry> entries, LlamaConfig model) {
    for (Entry entry : entries) {
      int[] tokens = entry.tokens();
      int highest = Arrays.stream(tokens).max().orElse(0);
      if (tokens.length > model.maxPositions() || highest >= model.vocabSize()) {
        throw new IllegalArgumentException(
            "the response to prompt %s has %d tokens up to id %d, the model %d positions and a vocabulary of %d: it is another model's bag"
                .formatted(
                    entry.promptId(),
                    tokens.length,
                    highest,
                    model.maxPositions(),
                    model.vocabSize()));
      }
    }
  }

  private static Entry entry(JsonNode line) {
    List<Message> messages = new ArrayList<>();
    for (JsonNode message : field(line, "messages")) {
      messages.add(
          new Message(
              Role.valueOf(field(message, "role").asText().toUpperCase(Locale.ROOT)),
              field(message, "content").asText()));
    }
    if (messages.size() < 2 || messages.getLast().role() != Role.ASSISTANT) {
      throw new IllegalArgumentException("messages do not end with a response");
    }
    Message response = messages.removeLast();
    return new Entry(
        field(line, "promptId").asText(),
        messages,
        field(line, "isSafety").asBoolean(),
        tokens(line, "promptTokens"),
        tokens(line, "responseTokens"),
        response.content(),
        number(line, "policyVersion").longValue(),
        number(line, "temperature").floatValue(),
        new Scores(
            number(line, "helpfulnessScore").floatValue(),
            number(line, "safetyScore").floatValue(),
            number(line, "helpfulnessVersion").longValue(),
            number(line, "safetyVersion").longValue()));
  }

  private static int[] tokens(JsonNode line, String name) {
    JsonNode array = field(line, name);
    int[] tokens = new int[array.size()];
    for (int i = 0; i < tokens.length; i++) {
      if (!array.get(i).canConvertToInt() || array.get(i).intValue() < 0) {
        throw new IllegalArgumentException(name + " holds " + array.get(i) + ", no token");
      }
      tokens[i] = array.get(i).intValue();
    }
    if (tokens.length == 0) {
      throw new IllegalArgumentException(name + " must be tokens, at least one");
    }
    return tokens;
  }

  private static JsonNode number(JsonNode line, String name) {
    JsonNode value = field(line, name);
    if (!value.isNumber()) {
      throw new IllegalArgumentException(name + " must be a number, not " + value);
    }
    return value;
  }

  private static JsonNode field(JsonNode line, String name) {
    if (!line.hasNonNull(name)) {
      throw new IllegalArgumentException(name + " is missing");
    }
    return line.get(name);
  }
}

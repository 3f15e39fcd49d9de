package io.millrace.jobs.rejection;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.cfg.EnumFeature;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.model.chat.Message;
import io.millrace.model.chat.Role;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.rejection.RejectionBag.Entry;
import io.millrace.model.rejection.RejectionBag.Scores;
import io.millrace.schemas.wire.JsonProblem;
import io.millrace.schemas.wire.MillraceJson;
import io.millrace.schemas.wire.StrictJson;
import io.millrace.schemas.wire.TextLines;
import io.millrace.schemas.wire.WireFormatException;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * The bag at the end of a run of rejection sampling, as JSON Lines. A line holds the dialogue and
 * its response as chat messages; supervised fine-tuning can therefore read the file as
 * demonstrations.
 */
public final class BagFile {

  private static final ObjectMapper JSON =
      MillraceJson.builder()
          .enable(
              DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES,
              DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES,
              DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
          .enable(EnumFeature.WRITE_ENUMS_TO_LOWERCASE)
          .build();

  private BagFile() {}

  /**
   * The file of a run in a store of this machine.
   *
   * @param version the last version that the run published
   */
  public static Path of(MillraceConfig config, long version) {
    return CheckpointStore.localPath(config.checkpoints().directory())
        .resolve(path(config, version));
  }

  /** The path or URI of a run's file in any store, for {@code rejection-sampling.bag}. */
  public static String location(MillraceConfig config, long version) {
    String directory = config.checkpoints().directory();
    return CheckpointStore.isLocal(directory)
        ? of(config, version).toString()
        : directory.replaceFirst("/+$", "") + "/" + path(config, version);
  }

  /** The file's path below the checkpoint directory. */
  private static String path(MillraceConfig config, long version) {
    RejectionSamplingSection section = config.section(RejectionSamplingSection.class);
    String name = section.hasStudent() ? section.studentName() : config.model().name();
    return "bags/%s-v%06d.jsonl".formatted(name, version);
  }

  /** Writes a run's bag into the store. */
  public static void leave(MillraceConfig config, long version, List<Entry> entries)
      throws IOException {
    if (CheckpointStore.isLocal(config.checkpoints().directory())) {
      write(of(config, version), entries);
    } else {
      JobSettings.store(config).put(path(config, version), file -> write(file, entries));
    }
  }

  /** Writes a file. After a failure the former file is still there. */
  public static void write(Path file, List<Entry> entries) throws IOException {
    Files.createDirectories(file.getParent());
    Path part = file.resolveSibling(file.getFileName() + ".writing");
    try (Writer writer = Files.newBufferedWriter(part)) {
      for (Entry entry : entries) {
        writer.write(JSON.writeValueAsString(Line.of(entry)) + "\n");
      }
    }
    Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /**
   * Reads a file that {@link #write} wrote.
   *
   * @throws IOException naming file, line and field of a bad value
   */
  public static List<Entry> read(Path file) throws IOException {
    return read(file.toString());
  }

  /**
   * Reads a file that {@link #write} wrote.
   *
   * @param file a path, or a URI
   * @throws IOException naming file, line and field of a bad value
   */
  public static List<Entry> read(String file) throws IOException {
    List<Entry> entries = new ArrayList<>();
    try (TextLines lines = new TextLines(CheckpointStore.read(file))) {
      for (Optional<TextLines.Line> line = lines.next(); line.isPresent(); line = lines.next()) {
        entries.add(line(file, line.get()).entry());
      }
    }
    return entries;
  }

  private static Line line(String file, TextLines.Line read) throws IOException {
    String problem = "it is null";
    Exception cause = null;
    try {
      String json = read.text();
      Line line = JSON.readValue(withOrigin(json), Line.class);
      var _ = StrictJson.read(json);
      if (line != null) {
        return line;
      }
    } catch (JsonProcessingException e) {
      problem = JsonProblem.of(e);
      cause = e;
    } catch (WireFormatException e) {
      problem = e.getMessage();
      cause = e;
    }
    throw new IOException(
        "%s:%d is no line of a bag: %s".formatted(file, read.number(), problem), cause);
  }

  /** Files of earlier releases do not say where a prompt came from. */
  private static String withOrigin(String json) {
    try {
      if (JSON.readTree(json) instanceof ObjectNode line && !line.has("source")) {
        line.put("source", "");
        line.put("time", 0);
        return line.toString();
      }
    } catch (JsonProcessingException e) {
      // The line is refused when it is read, with its field.
    }
    return json;
  }

  /**
   * Checks that all tokens of a bag fit a model.
   *
   * @throws IllegalArgumentException naming the first entry that does not fit
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

  /**
   * A line of the file.
   *
   * @param messages the dialogue, and the response as its last message
   * @param safety whether the response was judged by safety
   * @param policyVersion the version that sampled the response
   * @param source of the prompt; empty if unknown
   * @param time of the prompt in milliseconds since 1970; 0 if unknown
   */
  private record Line(
      String promptId,
      List<Message> messages,
      @JsonProperty("isSafety") boolean safety,
      long policyVersion,
      float temperature,
      float helpfulnessScore,
      float safetyScore,
      long helpfulnessVersion,
      long safetyVersion,
      int[] promptTokens,
      int[] responseTokens,
      String source,
      long time) {

    private Line {
      if (messages.size() < 2 || messages.getLast().role() != Role.ASSISTANT) {
        throw new IllegalArgumentException("messages do not end with a response");
      }
      requireFinite("temperature", temperature);
      requireFinite("helpfulnessScore", helpfulnessScore);
      requireFinite("safetyScore", safetyScore);
      requireTokens("promptTokens", promptTokens);
      requireTokens("responseTokens", responseTokens);
    }

    private static Line of(Entry entry) {
      List<Message> messages = new ArrayList<>(entry.dialogue());
      messages.add(Message.assistant(entry.text()));
      Scores scores = entry.scores();
      return new Line(
          entry.promptId(),
          messages,
          entry.isSafety(),
          entry.policyVersion(),
          entry.temperature(),
          scores.helpfulness(),
          scores.safety(),
          scores.helpfulnessVersion(),
          scores.safetyVersion(),
          entry.prompt(),
          entry.response(),
          entry.source() == null ? "" : entry.source(),
          entry.time());
    }

    private Entry entry() {
      return new Entry(
          promptId,
          messages.subList(0, messages.size() - 1),
          safety,
          promptTokens,
          responseTokens,
          messages.getLast().content(),
          policyVersion,
          temperature,
          new Scores(helpfulnessScore, safetyScore, helpfulnessVersion, safetyVersion),
          source,
          time);
    }

    private static void requireFinite(String field, float value) {
      if (!Float.isFinite(value)) {
        throw new IllegalArgumentException(field + " is " + value + " but must be finite");
      }
    }

    private static void requireTokens(String field, int[] tokens) {
      if (tokens.length == 0) {
        throw new IllegalArgumentException(field + " is empty but must hold at least one token");
      }
      for (int token : tokens) {
        if (token < 0) {
          throw new IllegalArgumentException(field + " holds " + token + ", which is no token");
        }
      }
    }
  }
}

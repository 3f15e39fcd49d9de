package io.millrace.connectors.importer;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Role;
import io.millrace.schemas.Sha256;
import io.millrace.schemas.Turn;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.Validation;
import io.millrace.schemas.wire.StrictJson;
import io.millrace.schemas.wire.TextLines;
import io.millrace.schemas.wire.WireFormatException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Imports judgments from the JSON Lines files of HH-RLHF (Bai et al., arXiv 2204.05862), compressed
 * by gzip or not. Each line holds two dialogues, {@code chosen} and {@code rejected}. They are
 * equal up to the last assistant turn, which is the response.
 *
 * <p>The judgment's id is the objective and a hash of the line's content and number. So a second
 * import of a file makes no new judgments, except for another objective. A bit of the hash decides
 * which response becomes A, so the position reveals nothing about the choice. The data has no
 * ratings; all judgments get the same one.
 *
 * <p>The real data has consecutive turns of one speaker, which are merged, and empty turns within a
 * dialogue, which are dropped. One of the two responses may be empty, because annotators did prefer
 * silence to some responses. A line that cannot be used is reported and does not stop the import.
 */
public final class HhRlhfImporter {
  private static final int MAX_REPORTED = 100;

  private final Objective objective;
  private final Rating rating;
  private final Clock clock;

  /**
   * @param objective what the annotators judged: {@code harmless-*} files are about safety, {@code
   *     helpful-*} files about helpfulness
   * @param rating the rating of every judgment; the data has none, so SLIGHTLY_BETTER with its
   *     small margin is a careful choice
   * @param clock gives the time of the judgments
   */
  public HhRlhfImporter(Objective objective, Rating rating, Clock clock) {
    this.objective = objective;
    this.rating = rating;
    this.clock = clock;
  }

  /** Receives the judgments. */
  @FunctionalInterface
  public interface Sink {
    /**
     * Takes a judgment.
     *
     * @throws UnusableRecordException to have the line skipped, with the reason to count
     */
    void accept(Judgment judgment) throws IOException;
  }

  /**
   * A line that gave no judgment.
   *
   * @param line the line's number, from 1
   * @param reason short and countable: bad-json, no-dialogue, diverging, same-responses, invalid,
   *     too-large
   * @param message the problem
   */
  public record Skip(long line, String reason, String message) {
    @Override
    public String toString() {
      return "line " + line + ": " + reason + ": " + message;
    }
  }

  /**
   * The result of an import.
   *
   * @param lines the number of lines that are not blank
   * @param judgments the number of judgments
   * @param skipped the number of lines that gave no judgment, by reason
   * @param firstSkips the first 100 skipped lines
   */
  public record Report(
      long lines, long judgments, Map<String, Long> skipped, List<Skip> firstSkips) {
    public Report {
      skipped = Map.copyOf(skipped);
      firstSkips = List.copyOf(firstSkips);
    }
  }

  /**
   * Reads a file and passes every judgment to {@code sink}, in the file's order.
   *
   * @throws IOException when the sink fails, or the file cannot be read to its end; the message
   *     then names the last good line
   */
  public Report run(Path file, Sink sink) throws IOException {
    Instant time = clock.instant();
    long lines = 0;
    long judgments = 0;
    Map<String, Long> skipped = new TreeMap<>();
    List<Skip> firstSkips = new ArrayList<>();
    try (TextLines reader = TextLines.of(file)) {
      while (true) {
        Optional<TextLines.Line> line = readLine(reader, file);
        if (line.isEmpty()) {
          return new Report(lines, judgments, skipped, firstSkips);
        }
        if (line.get().isBlank()) {
          continue;
        }
        lines++;
        long number = line.get().number();
        try {
          send(judgment(line.get(), time), number, sink);
          judgments++;
        } catch (SkippedException e) {
          skipped.merge(e.skip.reason(), 1L, Long::sum);
          if (firstSkips.size() < MAX_REPORTED) {
            firstSkips.add(e.skip);
          }
        }
      }
    }
  }

  private static void send(Judgment judgment, long number, Sink sink)
      throws IOException, SkippedException {
    try {
      sink.accept(judgment);
    } catch (UnusableRecordException e) {
      throw new SkippedException(number, e.reason(), e.getMessage());
    }
  }

  private static Optional<TextLines.Line> readLine(TextLines reader, Path file) throws IOException {
    try {
      return reader.next();
    } catch (IOException e) {
      throw new IOException(
          "%s is damaged after line %d: %s; the lines before it were imported, so repair the file and import it again"
              .formatted(file, reader.number(), e.getMessage()),
          e);
    }
  }

  private Judgment judgment(TextLines.Line line, Instant time) throws SkippedException {
    long number = line.number();
    JsonNode tree;
    try {
      tree = StrictJson.read(line.text());
    } catch (WireFormatException e) {
      throw new SkippedException(number, "bad-json", e.getMessage());
    }
    String chosenText = text(tree, "chosen", number);
    String rejectedText = text(tree, "rejected", number);
    List<Turn> chosen = dialogue(chosenText, number, "chosen");
    List<Turn> rejected = dialogue(rejectedText, number, "rejected");
    List<Turn> prompt = chosen.subList(0, chosen.size() - 1);
    if (!prompt.equals(rejected.subList(0, rejected.size() - 1))) {
      throw new SkippedException(
          number, "diverging", "the dialogues differ before the last assistant turn");
    }
    String better = chosen.getLast().getContent();
    String worse = rejected.getLast().getContent();
    if (better.equals(worse)) {
      throw new SkippedException(number, "same-responses", "both responses are the same");
    }
    byte[] hash = hash(chosenText, rejectedText, number);
    boolean betterIsA = (hash[hash.length - 1] & 1) == 0;
    Judgment judgment =
        Judgment.newBuilder()
            .setJudgmentId(
                "hh-rlhf-%s-%s"
                    .formatted(
                        objective.name().toLowerCase(Locale.ROOT),
                        HexFormat.of().formatHex(hash, 0, 16)))
            .setObjective(objective)
            .setDialogue(List.copyOf(prompt))
            .setResponseA(response(betterIsA ? better : worse))
            .setResponseB(response(betterIsA ? worse : better))
            .setPreferred(betterIsA ? Preferred.A : Preferred.B)
            .setRating(rating)
            .setSource("hh-rlhf")
            .setTime(time)
            .build();
    List<String> problems = Validation.problems(judgment);
    if (!problems.isEmpty()) {
      throw new SkippedException(number, "invalid", String.join("; ", problems));
    }
    return judgment;
  }

  private static JudgedResponse response(String text) {
    return JudgedResponse.newBuilder().setText(text).build();
  }

  private static String text(JsonNode tree, String field, long number) throws SkippedException {
    JsonNode node = tree.get(field);
    if (node == null || !node.isTextual()) {
      throw new SkippedException(
          number, "no-dialogue", "field \"" + field + "\" is missing or no string");
    }
    return node.textValue();
  }

  /** The turns of a dialogue. The last is the assistant's and may be empty. */
  private static List<Turn> dialogue(String text, long number, String field)
      throws SkippedException {
    List<Turn> turns = HhTurns.parse(text);
    if (turns.isEmpty()) {
      throw new SkippedException(
          number, "no-dialogue", field + " does not start with a Human: or Assistant: turn");
    }
    if (turns.getLast().getRole() != Role.ASSISTANT) {
      throw new SkippedException(
          number, "no-dialogue", field + " does not end with an Assistant: turn");
    }
    return turns;
  }

  private static byte[] hash(String chosen, String rejected, long number) {
    MessageDigest digest = Sha256.newDigest();
    digest.update(chosen.getBytes(StandardCharsets.UTF_8));
    digest.update((byte) 0);
    digest.update(rejected.getBytes(StandardCharsets.UTF_8));
    digest.update((byte) 0);
    return digest.digest(Long.toString(number).getBytes(StandardCharsets.UTF_8));
  }

  private static final class SkippedException extends Exception {
    private static final long serialVersionUID = 1L;

    private final transient Skip skip;

    SkippedException(long line, String reason, String message) {
      super(message);
      this.skip = new Skip(line, reason, message);
    }
  }
}

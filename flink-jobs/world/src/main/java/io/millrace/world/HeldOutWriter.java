package io.millrace.world;

import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.wire.JsonLines;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import org.apache.avro.specific.SpecificRecordBase;

/** Writes the demo world's held-out data as files for the job evaluation. */
public final class HeldOutWriter {

  /** File of the held-out prompts. */
  public static final String PROMPTS = "prompts.jsonl";

  /** File of demonstrations: people's answers to those prompts. */
  public static final String DEMONSTRATIONS = "demonstrations.jsonl";

  /** File of judgments of such answers. */
  public static final String JUDGMENTS = "judgments.jsonl";

  private final DemoWorld world;
  private final Annotators annotators;

  /** A writer for a seed's world and annotators. */
  public HeldOutWriter(long seed, InstantSource clock) {
    this.world = new DemoWorld(seed, clock);
    this.annotators = new Annotators(world, seed, clock);
  }

  /** Counts of written records. */
  public record Written(int prompts, int demonstrations, int judgments) {}

  /**
   * Writes the three files; creates the directory.
   *
   * @param count the largest number of prompts of each kind
   */
  public Written write(Path directory, int count) throws IOException {
    List<Prompt> prompts =
        DemoWorld.byKind(world.heldOutPrompts()).values().stream()
            .flatMap(kind -> kind.stream().limit(count))
            .toList();
    List<Judgment> judgments = new ArrayList<>();
    for (Objective objective : Objective.values()) {
      judgments.addAll(annotators.about(prompts, objective));
    }
    Files.createDirectories(directory);
    write(directory.resolve(PROMPTS), prompts);
    write(directory.resolve(DEMONSTRATIONS), world.demonstrations(prompts));
    write(directory.resolve(JUDGMENTS), judgments);
    return new Written(prompts.size(), prompts.size(), judgments.size());
  }

  private static void write(Path file, List<? extends SpecificRecordBase> records)
      throws IOException {
    Files.write(file, records.stream().map(JsonLines::write).toList());
  }
}

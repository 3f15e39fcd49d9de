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

/** Writes what nothing in the demo world is trained on, as files for the job evaluation. */
public final class HeldOutWriter {

  /** Held-out prompts. */
  public static final String PROMPTS = "prompts.jsonl";

  /** Answers to them, as people write them. */
  public static final String DEMONSTRATIONS = "demonstrations.jsonl";

  /** Choices between such answers. */
  public static final String JUDGMENTS = "judgments.jsonl";

  private final DemoWorld world;
  private final Annotators annotators;

  /** A writer for the world and the annotators of a seed. */
  public HeldOutWriter(long seed, InstantSource clock) {
    this.world = new DemoWorld(seed, clock);
    this.annotators = new Annotators(world, seed, clock);
  }

  /** How many records of each kind were written. */
  public record Written(int prompts, int demonstrations, int judgments) {}

  /**
   * Writes the three files.
   *
   * @param count prompts of each kind, at most
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

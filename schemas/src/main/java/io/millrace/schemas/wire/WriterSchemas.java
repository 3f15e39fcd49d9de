package io.millrace.schemas.wire;

import io.millrace.schemas.PlainFiles;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.avro.Schema;
import org.apache.avro.SchemaParseException;

/** Schemas of other writers: earlier releases, and newer ones from a directory. */
public final class WriterSchemas {
  /** Most bytes of a schema. */
  private static final int MOST_BYTES = 16 << 20;

  private static final String HISTORY = "/io/millrace/schemas/history/";

  private WriterSchemas() {}

  /** The schemas of earlier releases, from this module's resources. */
  public static List<Schema> bundled() {
    return Bundled.SCHEMAS;
  }

  /**
   * The schemas in all {@code *.avsc} files of a directory. Each file must define all types that it
   * uses.
   *
   * @throws IOException when the directory cannot be read, or a file is no schema
   */
  public static List<Schema> fromDirectory(Path directory) throws IOException {
    List<Path> files;
    try (var entries = Files.list(directory)) {
      files = entries.filter(file -> file.toString().endsWith(".avsc")).sorted().toList();
    }
    List<Schema> schemas = new ArrayList<>();
    for (Path file : files) {
      try {
        schemas.add(new Schema.Parser().parse(PlainFiles.readText(file, MOST_BYTES)));
      } catch (SchemaParseException e) {
        throw new IOException(
            "%s is not an Avro schema: %s; correct or remove it".formatted(file, e.getMessage()),
            e);
      }
    }
    return schemas;
  }

  private static final class Bundled {
    static final List<Schema> SCHEMAS = load();

    private static List<Schema> load() {
      List<Schema> schemas = new ArrayList<>();
      try (BufferedReader index = reader("index")) {
        for (String line = index.readLine(); line != null; line = index.readLine()) {
          if (!line.isBlank() && !line.startsWith("#")) {
            try (BufferedReader file = reader(line.strip())) {
              schemas.add(new Schema.Parser().parse(file.readAllAsString()));
            }
          }
        }
      } catch (IOException e) {
        throw new UncheckedIOException(
            "the schemas in %s of the jar cannot be read; install it again".formatted(HISTORY), e);
      }
      return List.copyOf(schemas);
    }

    private static BufferedReader reader(String name) throws IOException {
      InputStream in = WriterSchemas.class.getResourceAsStream(HISTORY + name);
      if (in == null) {
        throw new IOException("the jar has no resource " + HISTORY + name);
      }
      return new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
    }
  }
}

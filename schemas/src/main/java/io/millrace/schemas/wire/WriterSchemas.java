package io.millrace.schemas.wire;

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

/** Schemas of other writers than this build: yesterday's, bundled here, and tomorrow's, added. */
public final class WriterSchemas {
  private static final String HISTORY = "/io/millrace/schemas/history/";

  private WriterSchemas() {}

  /** The schemas of earlier releases, from this module's resources. */
  public static List<Schema> bundled() {
    return Bundled.SCHEMAS;
  }

  /**
   * Every {@code *.avsc} of a directory; each file must define all types that it uses.
   *
   * @throws IOException when the directory cannot be read or a file holds no schema
   */
  public static List<Schema> fromDirectory(Path directory) throws IOException {
    List<Path> files;
    try (var entries = Files.list(directory)) {
      files = entries.filter(file -> file.toString().endsWith(".avsc")).sorted().toList();
    }
    List<Schema> schemas = new ArrayList<>();
    for (Path file : files) {
      try {
        schemas.add(new Schema.Parser().parse(Files.readString(file)));
      } catch (SchemaParseException e) {
        throw new IOException(file + " is not an Avro schema: " + e.getMessage(), e);
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
        throw new UncheckedIOException("the bundled schemas cannot be read", e);
      }
      return List.copyOf(schemas);
    }

    private static BufferedReader reader(String name) throws IOException {
      InputStream in = WriterSchemas.class.getResourceAsStream(HISTORY + name);
      if (in == null) {
        throw new IOException("no resource " + HISTORY + name + "; the jar is damaged");
      }
      return new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
    }
  }
}

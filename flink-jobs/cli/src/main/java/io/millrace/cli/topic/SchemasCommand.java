package io.millrace.cli.topic;

import io.millrace.cli.option.UserException;
import io.millrace.schemas.wire.SchemaFiles;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code millrace schemas}. */
@Command(
    name = "schemas",
    mixinStandardHelpOptions = true,
    description = {
      "Writes the Avro schema and the JSON Schema of each topic for producers and consumers in any"
          + " language.",
      "Each .avsc file defines every type that it uses. index.json has the fingerprint of each"
          + " schema and the 10 bytes with which its records begin. Schemas of earlier releases are"
          + " written too, to read old records."
    },
    footer = {"", "Example:", "  millrace schemas --out schemas"})
public final class SchemasCommand implements Callable<Integer> {
  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "Directory for the files. Files of the same names are replaced.")
  private Path out;

  @Override
  public Integer call() throws Exception {
    if (Files.exists(out) && !Files.isDirectory(out)) {
      throw new UserException("--out must be a directory: %s; choose another path".formatted(out));
    }
    List<SchemaFiles.Entry> written = SchemaFiles.write(out);
    System.out.printf("%-38s %-38s %-22s%n", "FILE", "RECORD", "HEADER");
    for (SchemaFiles.Entry entry : written) {
      System.out.printf("%-38s %-38s %-22s%n", entry.name(), entry.record(), entry.header());
    }
    System.err.printf("wrote the files and %s to %s%n", SchemaFiles.INDEX, out);
    return 0;
  }
}

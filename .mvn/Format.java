import com.google.googlejavaformat.java.Formatter;
import com.google.googlejavaformat.java.RemoveUnusedImports;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Checks, or with {@code write} mends, the format of every Java file below a folder. */
class Format {
  public static void main(String[] args) throws Exception {
    boolean write = args[0].equals("write");
    Path root = Path.of(args[1]);
    if (!Files.isDirectory(root)) {
      return;
    }
    List<Path> sources;
    try (var walk = Files.walk(root)) {
      sources = walk.filter(path -> path.toString().endsWith(".java")).sorted().toList();
    }
    List<Path> unformatted = new ArrayList<>();
    for (Path source : sources) {
      String text = Files.readString(source);
      String formatted =
          new Formatter().formatSourceAndFixImports(RemoveUnusedImports.removeUnusedImports(text));
      if (!formatted.equals(text)) {
        if (write) {
          Files.writeString(source, formatted);
        } else {
          unformatted.add(source);
        }
      }
    }
    if (!unformatted.isEmpty()) {
      unformatted.forEach(path -> System.err.println("not formatted: " + path));
      System.err.println("mend with: ./mvnw -Dformat=write compile");
      System.exit(1);
    }
  }
}

package io.millrace.jobs.erasure;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.kafka.ErasureScan;
import io.millrace.schemas.Plural;
import io.millrace.schemas.Printable;
import io.millrace.schemas.Withdrawal;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * What an erasure has found and done. It never has a text of a record.
 *
 * @param withdrawal what was asked for
 * @param dryRun whether nothing was changed
 * @param scans the topics before
 * @param undecoded matching records that cannot be decoded
 * @param left records that are still there, by topic
 * @param texts how many texts were searched for
 * @param directories that were searched
 * @param searchedFiles how many files were searched
 * @param files files that hold texts, with advice
 * @param notes limits of the search
 * @param problems why something was not done or not searched, and how to mend it
 * @param versions versions that have learned from the records
 */
public record ErasureReport(
    Withdrawal withdrawal,
    boolean dryRun,
    List<ErasureScan> scans,
    long undecoded,
    Map<String, Long> left,
    int texts,
    Collection<Path> directories,
    long searchedFiles,
    Map<Path, String> files,
    List<String> notes,
    List<String> problems,
    AffectedVersions versions) {

  /** Whether all is gone except what weights hold. */
  public boolean isComplete() {
    return left.isEmpty() && files.isEmpty() && problems.isEmpty();
  }

  private String what() {
    return "%s %s"
        .formatted(withdrawal.getBy().name().toLowerCase(Locale.ROOT), withdrawal.getName());
  }

  /** What would be removed, before anything is. */
  public void printPlan(PrintStream out) {
    out.printf("records of %s:%n", Printable.line(what()));
    for (ErasureScan scan : scans) {
      out.printf("%10d of %d in %s%n", scan.matching(), scan.records(), scan.name());
    }
    if (undecoded > 0) {
      out.printf(
          "%d of them cannot be decoded: their key or their bytes hold the name%n", undecoded);
    }
    for (ErasureScan scan : scans) {
      if (scan.matching() > 0 && scan.alsoDropped() > 0) {
        out.printf(
            "%s in %s go, too: a later record has the same key%n",
            Plural.of(scan.alsoDropped(), "other record"), scan.name());
      }
    }
    out.flush();
  }

  /** What was done and what remains. */
  public void print(PrintStream out) {
    if (!dryRun) {
      printResult(out);
    }
    if (versions.isEmpty()) {
      out.println("no published version is known to have learned from them");
    } else {
      out.println("remains in published weights, which cannot forget:");
      versions.print(out);
      out.println(
          "delete these versions, and train again from one that is not listed, to get rid of it");
    }
    out.flush();
  }

  private void printResult(PrintStream out) {
    out.printf("withdrawal %s sent%n", Printable.line(withdrawal.getWithdrawalId()));
    for (ErasureScan scan : scans) {
      if (scan.matching() > 0) {
        long remaining = left.getOrDefault(scan.name(), 0L);
        out.printf(
            "%s: %s%n",
            scan.name(),
            remaining == 0
                ? Plural.of(scan.matching(), "record") + " removed"
                : Plural.of(remaining, "record") + " still there");
      }
    }
    out.printf(
        "searched %s in %s for %s%n",
        Plural.of(searchedFiles, "file"),
        directories.isEmpty() ? "no directory" : Printable.line(directories.toString()),
        Plural.of(texts, "text"));
    notes.forEach(note -> out.println(Printable.line(note)));
    files.forEach(
        (file, advice) -> out.printf("still in %s: %s%n", Printable.line(file.toString()), advice));
    problems.forEach(problem -> out.println("not done: " + Printable.line(problem)));
    out.println(
        isComplete()
            ? "all records are gone, except from weights"
            : "records remain, or may remain: see above");
  }

  public ObjectNode json() {
    ObjectNode root = JsonNodeFactory.instance.objectNode();
    root.put("by", withdrawal.getBy().name().toLowerCase(Locale.ROOT));
    root.put("name", withdrawal.getName());
    root.put("withdrawalId", dryRun ? "" : withdrawal.getWithdrawalId());
    root.put("dryRun", dryRun);
    ArrayNode topics = root.putArray("topics");
    for (ErasureScan scan : scans) {
      topics
          .addObject()
          .put("topic", scan.name())
          .put("records", scan.records())
          .put("matching", scan.matching())
          .put("alsoDropped", scan.matching() > 0 ? scan.alsoDropped() : 0)
          .put("left", left.getOrDefault(scan.name(), 0L));
    }
    root.put("undecoded", undecoded);
    root.put("texts", texts);
    root.put("searchedFiles", searchedFiles);
    ArrayNode searched = root.putArray("directories");
    directories.forEach(directory -> searched.add(directory.toString()));
    ArrayNode found = root.putArray("files");
    files.forEach(
        (file, advice) -> found.addObject().put("file", file.toString()).put("advice", advice));
    addAll(root.putArray("notes"), notes);
    addAll(root.putArray("problems"), problems);
    root.set("versions", versions.json());
    root.set("incomplete", versions.incompleteJson());
    root.put("complete", !dryRun && isComplete());
    return root;
  }

  private static void addAll(ArrayNode array, List<String> texts) {
    new ArrayList<>(texts).forEach(array::add);
  }
}

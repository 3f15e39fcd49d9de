package io.millrace.cli.people;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.cli.option.UserException;
import io.millrace.cli.people.PeoplesVotes.Found;
import io.millrace.connectors.exchange.Import;
import io.millrace.connectors.exchange.ImportFiles;
import io.millrace.connectors.exchange.ReportingReceiver;
import io.millrace.connectors.exchange.file.Bounds;
import io.millrace.connectors.exchange.format.Settings;
import io.millrace.model.evaluation.HumanEvaluation;
import io.millrace.model.evaluation.WinRate;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Printable;
import io.millrace.schemas.Topic;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.wire.TextLines;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Clock;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Predicate;
import org.apache.avro.specific.SpecificRecordBase;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code millrace evaluation people}. */
@Command(
    name = "people",
    mixinStandardHelpOptions = true,
    description = {
      "Prints which of two policies people prefer, from judgments in files: exports of Label"
          + " Studio, of the topic judgments, or any format of judgments that millrace import"
          + " reads.",
      "As in the Llama 2 paper, several annotators compare each pair on seven points, and the"
          + " majority decides. The limits of the win rate hold however often one looks while"
          + " judgments come in."
    },
    footer = {
      "",
      "Examples:",
      "  millrace evaluation people label-studio.json --key people-12/key.jsonl",
      "  millrace export judgments --out judged.jsonl",
      "  millrace evaluation people judged.jsonl --versions 12,9",
    })
public final class PeopleCommand implements Callable<Integer> {

  private static final int REPORTED = 5;
  private static final double EVEN = 0.5;

  @Parameters(paramLabel = "FILE", arity = "1..*", description = "Files of judgments.")
  private List<Path> files;

  @Option(
      names = "--key",
      paramLabel = "FILE",
      description = "The key.jsonl that evaluation pairs wrote.")
  private Optional<Path> key;

  @Option(
      names = "--versions",
      paramLabel = "NEW,OTHER",
      split = ",",
      description =
          "Without a key: judgments whose responses are of these two policy versions count.")
  private List<Long> versions = List.of();

  @Option(
      names = "--annotators",
      paramLabel = "N",
      defaultValue = "3",
      description =
          "Annotators that must have judged a pair; a pair with fewer waits"
              + " (default: ${DEFAULT-VALUE}).")
  private int annotators;

  @Option(
      names = "--objective",
      defaultValue = "helpfulness",
      description =
          "What the annotators judged; other judgments do not count (default: ${DEFAULT-VALUE}).")
  private Objective objective;

  @Option(
      names = "--confidence",
      defaultValue = "0.95",
      description =
          "Confidence that both limits of the win rate hold at all looks together"
              + " (default: ${DEFAULT-VALUE}).")
  private double confidence;

  @Option(names = "--json", description = "Print one JSON object.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    requireOptions();
    ImportFiles.require(files);
    Map<String, ComparedPair> pairs = key.isPresent() ? readKey(key.get()) : Map.of();
    PeoplesVotes votes =
        new PeoplesVotes(
            judgment -> key.isPresent() ? byKey(pairs, judgment) : byVersion(judgment), objective);
    pairs.values().forEach(votes::expect);
    read(votes);
    if (votes.pairs() == votes.settled()) {
      throw new UserException(
          "no judgment is of responses of %s; judgments that do not count: %s"
              .formatted(
                  key.isPresent() ? "a pair of the key" : "versions " + versions, votes.unused()));
    }
    ComparedPair names = pairs.values().stream().findFirst().orElseGet(() -> versionPair(""));
    Map<String, HumanEvaluation> results = new LinkedHashMap<>();
    results.put("all", votes.evaluate(_ -> true, annotators));
    if (pairs.values().stream().anyMatch(ComparedPair::isSafety)) {
      results.put("safety prompts", votes.evaluate(ComparedPair::isSafety, annotators));
      results.put(
          "other prompts", votes.evaluate(Predicate.not(ComparedPair::isSafety), annotators));
    }
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    if (json) {
      out.println(json(names, votes, results));
    } else {
      print(out, names, votes, results);
    }
    out.flush();
    return 0;
  }

  private void requireOptions() {
    if (key.isPresent() != versions.isEmpty()) {
      throw new UserException("give either --key FILE or --versions NEW,OTHER");
    }
    if (key.isEmpty() && (versions.size() != 2 || versions.get(0).equals(versions.get(1)))) {
      throw new UserException("--versions must be two different versions, such as 12,9");
    }
    if (annotators < 1 || annotators > 100) {
      throw new UserException("--annotators must be from 1 to 100, not " + annotators);
    }
    if (!(confidence > 0 && confidence < 1)) {
      throw new UserException("--confidence must be between 0 and 1, not " + confidence);
    }
  }

  private static Map<String, ComparedPair> readKey(Path file) throws IOException {
    Map<String, ComparedPair> pairs = new LinkedHashMap<>();
    try (TextLines lines = TextLines.of(file)) {
      for (Optional<TextLines.Line> line = lines.next(); line.isPresent(); line = lines.next()) {
        if (line.get().isBlank()) {
          continue;
        }
        try {
          ComparedPair pair = ComparedPair.read(line.get().text());
          pairs.put(pair.pair(), pair);
        } catch (UnusableRecordException e) {
          throw new IOException(
              "--key %s, line %d: %s".formatted(file, line.get().number(), e.getMessage()), e);
        }
      }
    }
    if (pairs.isEmpty()) {
      throw new IOException("--key %s has no pairs".formatted(file));
    }
    return pairs;
  }

  private static Optional<Found> byKey(Map<String, ComparedPair> pairs, Judgment judgment) {
    ComparedPair inOrder = pairs.get(id(judgment, true));
    return inOrder != null
        ? Optional.of(new Found(inOrder, true))
        : Optional.ofNullable(pairs.get(id(judgment, false))).map(pair -> new Found(pair, false));
  }

  private Optional<Found> byVersion(Judgment judgment) {
    Long a = judgment.getResponseA().getPolicyVersion();
    Long b = judgment.getResponseB().getPolicyVersion();
    boolean firstIsA = versions.get(0).equals(a) && versions.get(1).equals(b);
    boolean firstIsB = versions.get(0).equals(b) && versions.get(1).equals(a);
    return firstIsA || firstIsB
        ? Optional.of(new Found(versionPair(id(judgment, firstIsA)), firstIsA))
        : Optional.empty();
  }

  private ComparedPair versionPair(String id) {
    return new ComparedPair(
        id,
        "",
        false,
        "version " + versions.get(0),
        "version " + versions.get(1),
        Optional.empty());
  }

  private static String id(Judgment judgment, boolean firstIsA) {
    String a = judgment.getResponseA().getText();
    String b = judgment.getResponseB().getText();
    return ComparedPair.id(judgment.getDialogue(), firstIsA ? a : b, firstIsA ? b : a);
  }

  private void read(PeoplesVotes votes) throws IOException {
    Import run =
        new Import(
            Optional.empty(),
            Settings.at(Clock.systemUTC().instant()).with(objective),
            Bounds.DEFAULT);
    ReportingReceiver receiver =
        new ReportingReceiver(
            new ReportingReceiver.Sink() {
              @Override
              public <T extends SpecificRecordBase> void accept(Topic<T> topic, T record) {
                if (record instanceof Judgment judgment) {
                  votes.add(judgment);
                }
              }
            },
            null,
            REPORTED,
            System.err::println);
    for (Path file : files) {
      run.run(file, receiver);
    }
    System.err.println("read " + run.report());
  }

  private double level() {
    return (1 - confidence) / 2;
  }

  /** What the limits show about the first policy. */
  private String verdict(WinRate rate) {
    if (rate.isAbove(EVEN, level())) {
      return "better";
    }
    return rate.isBelow(EVEN, level()) ? "worse" : "not-decided";
  }

  private ObjectNode json(
      ComparedPair names, PeoplesVotes votes, Map<String, HumanEvaluation> results) {
    ObjectNode report = new ObjectMapper().createObjectNode();
    report.put("first", names.first());
    report.put("second", names.second());
    report.put("pairs", votes.pairs());
    report.put("settled", votes.settled());
    if (!Double.isNaN(votes.leftShare())) {
      report.put("left_share", votes.leftShare());
    }
    ObjectNode unused = report.putObject("unused_judgments");
    votes.unused().forEach(unused::put);
    results.forEach(
        (name, result) -> {
          ObjectNode entry = report.putObject(name.replace(' ', '_'));
          WinRate rate = result.winRate();
          WinRate.Interval limits = rate.interval(level());
          entry.put("wins", rate.wins());
          entry.put("ties", rate.ties());
          entry.put("losses", rate.losses());
          if (!rate.isEmpty()) {
            entry.put("win_rate", rate.mean());
          }
          entry.put("low", limits.low());
          entry.put("high", limits.high());
          entry.put("verdict", verdict(rate));
          entry.put("waiting", result.waiting());
          entry.put("without_majority", result.withoutMajority());
          entry.put("votes", result.votes());
          if (!Double.isNaN(result.ac2())) {
            entry.put("ac2", result.ac2());
          }
        });
    return report;
  }

  private void print(
      PrintStream out,
      ComparedPair names,
      PeoplesVotes votes,
      Map<String, HumanEvaluation> results) {
    out.printf(
        "%s against %s: %d pairs, %d of them settled without people%n",
        Printable.line(names.first()),
        Printable.line(names.second()),
        votes.pairs(),
        votes.settled());
    results.forEach(
        (name, result) -> {
          WinRate rate = result.winRate();
          WinRate.Interval limits = rate.interval(level());
          if (rate.isEmpty()) {
            out.printf(
                "%s: no pair is decided yet; %d wait for %d annotators%n",
                name, result.waiting(), annotators);
            return;
          }
          out.printf(
              Locale.ROOT,
              "%s: win rate %.3f (%.3f to %.3f): %d wins, %d ties (%d without a majority), %d"
                  + " losses; %d pairs wait for %d annotators; AC2 %.2f over %d pairs%n",
              name,
              rate.mean(),
              limits.low(),
              limits.high(),
              rate.wins(),
              rate.ties(),
              result.withoutMajority(),
              rate.losses(),
              result.waiting(),
              annotators,
              result.ac2(),
              result.overlapping());
        });
    out.printf(
        "%sjudgments that do not count: %s%n",
        Double.isNaN(votes.leftShare())
            ? ""
            : String.format(
                Locale.ROOT, "chosen on the left: %.2f of the judgments; ", votes.leftShare()),
        votes.unused().isEmpty() ? "none" : votes.unused());
    out.println(
        switch (verdict(results.get("all").winRate())) {
          case "better" -> "%s is shown to be better".formatted(Printable.line(names.first()));
          case "worse" -> "%s is shown to be worse".formatted(Printable.line(names.first()));
          default -> "neither is shown to be better; more pairs or annotators are needed";
        });
  }
}

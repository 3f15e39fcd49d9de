package io.millrace.cli.people;

import io.millrace.cli.model.OpenPolicy;
import io.millrace.cli.model.SamplingFlags;
import io.millrace.cli.option.BackendOptions;
import io.millrace.cli.option.ConfigOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.importer.DemonstrationLine;
import io.millrace.jobs.models.Dialogues;
import io.millrace.jobs.models.RecordFile;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Validation;
import io.millrace.schemas.wire.JsonLines;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace evaluation pairs}. */
@Command(
    name = "pairs",
    mixinStandardHelpOptions = true,
    description = {
      "Writes pairs of responses for people to compare, blinded: a policy's beside another one's,"
          + " or beside demonstrations of people.",
      "DIR gets tasks.json and interface.xml for Label Studio, and key.jsonl, which says whose"
          + " response is whose: keep the key from those who judge."
    },
    footer = {
      "",
      "Examples:",
      "  millrace evaluation pairs --policy v000012 --other v000009 \\",
      "    --prompts held-out/prompts.jsonl --out people-12",
      "  millrace evaluation pairs --policy v000001 \\",
      "    --demonstrations held-out/demonstrations.jsonl --out sft-check",
    })
public final class PairsCommand implements Callable<Integer> {

  static final String KEY = "key.jsonl";
  static final String TASKS = "tasks.json";
  private static final String INTERFACE = "interface.xml";

  /** Whose responses demonstrations are. */
  private static final String PEOPLE = "demonstrations";

  private static final int BATCH = 32;

  @Option(
      names = "--policy",
      required = true,
      description = "Directory or URI of the policy checkpoint to evaluate.")
  private String policy;

  @Option(
      names = "--other",
      description = "Directory or URI of the policy checkpoint to compare with, with --prompts.")
  private Optional<String> other;

  @Option(
      names = "--prompts",
      paramLabel = "FILE",
      description = "Held-out prompts, in the form of the topic prompts.")
  private Optional<String> prompts;

  @Option(
      names = "--demonstrations",
      paramLabel = "FILE",
      description =
          "Demonstrations to compare with, in any form of supervised.file; their last turn is the"
              + " response.")
  private Optional<String> demonstrations;

  @Option(
      names = "--pairs",
      paramLabel = "N",
      defaultValue = "200",
      description =
          "Most pairs, chosen by a hash of the id and the seed (default: ${DEFAULT-VALUE}).")
  private int most;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "Directory to make; it must not exist.")
  private Path out;

  @Mixin private SamplingFlags sampling;
  @Mixin private ConfigOptions options;
  @Mixin private BackendOptions compute;

  /**
   * A prompt to respond to.
   *
   * @param response the people's; empty without
   */
  private record Question(
      String id, List<Turn> dialogue, boolean isSafety, Optional<String> response) {}

  /** A policy's name, and its responses; null where the prompt is too long for the policy. */
  private record Responses(String title, List<String> texts) {
    Responses at(String location) {
      return new Responses(title + " in " + location, texts);
    }
  }

  @Override
  public Integer call() throws IOException {
    requireOptions();
    List<Question> questions = chosen(demonstrations.isPresent() ? demonstrated() : prompted());
    Responses first;
    Responses second;
    try (Backend backend = compute.open()) {
      first = respond(backend, policy, questions);
      second =
          other.isPresent()
              ? respond(backend, other.get(), questions)
              : new Responses(
                  PEOPLE, questions.stream().map(q -> q.response().orElseThrow()).toList());
    }
    if (first.title().equals(second.title())) {
      // Versions of two directories.
      first = first.at(policy);
      second = second.at(other.orElse("--demonstrations"));
    }
    write(questions, first, second);
    return 0;
  }

  private void requireOptions() {
    sampling.require();
    if (demonstrations.isPresent() == prompts.isPresent()
        || other.isPresent() != prompts.isPresent()) {
      throw new UserException(
          "give --other and --prompts to compare two policies, or --demonstrations alone to"
              + " compare one with people");
    }
    if (other.isPresent() && other.get().equals(policy)) {
      throw new UserException("--policy and --other are both %s; name two".formatted(policy));
    }
    if (most < 1) {
      throw new UserException("--pairs must be at least 1, not " + most);
    }
    if (Files.exists(out)) {
      throw new UserException("--out must not exist: %s; choose another directory".formatted(out));
    }
  }

  private List<Question> prompted() throws IOException {
    List<Question> questions = new ArrayList<>();
    for (Prompt prompt :
        RecordFile.lines(
            "--prompts",
            prompts.orElseThrow(),
            (line, _) -> Validation.require(JsonLines.read(Prompt.class, line)))) {
      questions.add(
          new Question(
              prompt.getPromptId(), prompt.getDialogue(), prompt.getIsSafety(), Optional.empty()));
    }
    return questions;
  }

  private List<Question> demonstrated() throws IOException {
    List<Question> questions = new ArrayList<>();
    int texts = 0;
    for (Demonstration demonstration :
        RecordFile.lines(
            "--demonstrations", demonstrations.orElseThrow(), DemonstrationLine::read)) {
      if (Validation.isText(demonstration)) {
        texts++;
        continue;
      }
      List<Turn> dialogue = demonstration.getDialogue();
      questions.add(
          new Question(
              demonstration.getId(),
              dialogue.subList(0, dialogue.size() - 1),
              false,
              Optional.of(dialogue.getLast().getContent())));
    }
    if (texts > 0) {
      System.err.printf("millrace: %d plain texts have no prompt and are left out%n", texts);
    }
    if (questions.isEmpty()) {
      throw new UserException("--demonstrations has no dialogue; a pair needs a prompt");
    }
    return questions;
  }

  private List<Question> chosen(List<Question> questions) {
    return questions.stream()
        .sorted(
            Comparator.comparingLong(
                question -> SamplingRequest.seed(sampling.seed(), "pair/" + question.id())))
        .limit(most)
        .toList();
  }

  private Responses respond(Backend backend, String location, List<Question> questions)
      throws IOException {
    try (OpenPolicy open = OpenPolicy.open(backend, options, location)) {
      ChatTemplate template = open.template();
      SamplingOptions settings =
          sampling.options(template.stopTokens(open.model().config().eosTokens()));
      int room = open.model().config().maxPositions() - settings.maxTokens();
      List<String> texts = new ArrayList<>();
      List<SamplingRequest> requests = new ArrayList<>();
      List<Integer> positions = new ArrayList<>();
      int longest = 1;
      for (Question question : questions) {
        int[] tokens = template.promptTokens(Dialogues.messages(question.dialogue()));
        texts.add(null);
        if (tokens.length <= room) {
          longest = Math.max(longest, tokens.length);
          positions.add(texts.size() - 1);
          requests.add(
              SamplingRequest.single(
                  tokens, SamplingRequest.seed(sampling.seed(), question.id()), settings));
        }
      }
      if (requests.isEmpty()) {
        throw new UserException(
            "no prompt leaves %s room for --max-tokens %d of its %d positions; lower it"
                .formatted(
                    open.title(), settings.maxTokens(), open.model().config().maxPositions()));
      }
      try (SamplingEngine engine =
          new SamplingEngine(
              open.model(), EngineSettings.of(BATCH, longest + settings.maxTokens()))) {
        for (int from = 0; from < requests.size(); from += BATCH) {
          int to = Math.min(from + BATCH, requests.size());
          List<SampledResponse> sampled = engine.sampleAll(requests.subList(from, to));
          for (int i = 0; i < sampled.size(); i++) {
            // Annotation tools, and our import, refuse a NUL.
            texts.set(
                positions.get(from + i),
                template.responseText(sampled.get(i).tokens()).replace('\0', '\uFFFD'));
          }
        }
      }
      return new Responses(open.title(), texts);
    }
  }

  private void write(List<Question> questions, Responses first, Responses second)
      throws IOException {
    LabelStudioTasks tasks = new LabelStudioTasks();
    List<String> key = new ArrayList<>();
    int tooLong = 0;
    for (int i = 0; i < questions.size(); i++) {
      Question question = questions.get(i);
      String own = first.texts().get(i);
      String others = second.texts().get(i);
      if (own == null || others == null) {
        tooLong++;
        continue;
      }
      ComparedPair pair =
          new ComparedPair(
              ComparedPair.id(question.dialogue(), own, others),
              question.id(),
              question.isSafety(),
              first.title(),
              second.title(),
              ComparedPair.settled(own, others));
      key.add(pair.line());
      if (pair.settled().isEmpty()) {
        boolean turned = (SamplingRequest.seed(sampling.seed(), "side/" + question.id()) & 1) == 0;
        tasks.add(question.dialogue(), turned ? others : own, turned ? own : others);
      }
    }
    Files.createDirectories(out);
    tasks.write(out.resolve(TASKS), out.resolve(INTERFACE));
    Files.write(out.resolve(KEY), key);
    System.out.printf(
        "wrote %d pairs of %s and %s to %s: %d tasks, %d the same or with an empty response, which"
            + " nobody needs to judge; %d prompts are too long and left out%n",
        key.size(),
        first.title(),
        second.title(),
        out,
        tasks.size(),
        key.size() - tasks.size(),
        tooLong);
  }
}

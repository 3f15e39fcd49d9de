package io.millrace.schemas;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.apache.avro.Schema;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * Rules for records beyond their schema. A job learns only from valid records. Rules that depend on
 * a model, such as its context length or vocabulary, belong to the jobs.
 */
public final class Validation {
  /**
   * Most characters of an identity, a name or a {@code source}. A rollout holds its prompt's id
   * three times, so an id without bound makes records that Kafka refuses.
   */
  public static final int MAX_ID_CHARACTERS = 512;

  /** Far above any ensemble of reward models. */
  private static final int MAX_HEADS = 1000;

  /** A rollout's id is its prompt's id, a slash and the number of the sample. */
  private static final int MAX_ROLLOUT_ID_CHARACTERS = MAX_ID_CHARACTERS + 16;

  /** Most characters of the reason of a withdrawal or of a choice. */
  private static final int MAX_REASON_CHARACTERS = 4096;

  /** Most characters of a path or URI: Linux' own limit for paths. */
  private static final int MAX_LOCATION_CHARACTERS = 4096;

  /** The topics whose records trainers learn from. */
  private static final List<String> LINEAGE_TOPICS =
      List.of(Topic.JUDGMENTS.name(), Topic.DEMONSTRATIONS.name(), Topic.PROMPTS.name());

  /** Rounding may raise the logarithm of a probability of 1 above 0 by this much. */
  private static final float LOG_PROB_TOLERANCE = 1e-3f;

  /** A token of a lower probability, 4e-44, is never sampled. */
  private static final float LOWEST_LOG_PROB = -100;

  /** The latest time of a record; a later one is a mistake of units. */
  private static final Instant LATEST = Instant.parse("2200-01-01T00:00:00Z");

  private Validation() {}

  /**
   * Requires a valid record.
   *
   * @return the record, for chaining
   * @throws InvalidRecordException when the record breaks a rule; the message names every problem
   */
  public static <T extends SpecificRecordBase> T require(T record) {
    List<String> problems = problems(record);
    if (!problems.isEmpty()) {
      throw new InvalidRecordException(record.getSchema().getName(), problems);
    }
    return record;
  }

  /** All problems of a record, each with field and value; none for a valid record. */
  public static List<String> problems(SpecificRecordBase record) {
    List<String> problems = new ArrayList<>();
    time(problems, record);
    switch (record) {
      case Prompt prompt -> {
        id(problems, "promptId", prompt.getPromptId());
        length(problems, "source", prompt.getSource(), MAX_ID_CHARACTERS);
        dialogue(problems, prompt.getDialogue(), Role.USER);
      }
      case Demonstration demonstration -> {
        id(problems, "id", demonstration.getId());
        length(problems, "source", demonstration.getSource(), MAX_ID_CHARACTERS);
        revision(problems, demonstration.getRevision());
        demonstration(problems, demonstration);
      }
      case Judgment judgment -> {
        id(problems, "judgmentId", judgment.getJudgmentId());
        length(problems, "annotator", judgment.getAnnotator(), MAX_ID_CHARACTERS);
        length(problems, "source", judgment.getSource(), MAX_ID_CHARACTERS);
        revision(problems, judgment.getRevision());
        dialogue(problems, judgment.getDialogue(), Role.USER);
        judgedResponse(problems, "responseA", judgment.getResponseA());
        judgedResponse(problems, "responseB", judgment.getResponseB());
        responses(problems, judgment);
      }
      case Feedback feedback -> {
        id(problems, "feedbackId", feedback.getFeedbackId());
        length(problems, "annotator", feedback.getAnnotator(), MAX_ID_CHARACTERS);
        length(problems, "source", feedback.getSource(), MAX_ID_CHARACTERS);
        dialogue(problems, feedback.getDialogue(), Role.USER);
        judgedResponse(problems, "response", feedback.getResponse());
        feedback(problems, feedback);
      }
      case Withdrawal withdrawal -> {
        id(problems, "withdrawalId", withdrawal.getWithdrawalId());
        // The id of a rollout is the longest name.
        required(problems, "name", withdrawal.getName(), MAX_ROLLOUT_ID_CHARACTERS);
        length(problems, "requestedBy", withdrawal.getRequestedBy(), MAX_ID_CHARACTERS);
        length(problems, "reason", withdrawal.getReason(), MAX_REASON_CHARACTERS);
      }
      case Assignment assignment -> {
        id(problems, "taskId", assignment.getTaskId());
        id(problems, "annotator", assignment.getAnnotator());
        required(problems, "left", assignment.getLeft(), MAX_ROLLOUT_ID_CHARACTERS);
        required(problems, "right", assignment.getRight(), MAX_ROLLOUT_ID_CHARACTERS);
        length(problems, "judgmentId", assignment.getJudgmentId(), MAX_ID_CHARACTERS);
        length(problems, "reason", assignment.getReason(), MAX_REASON_CHARACTERS);
        notNegative(problems, "revision", assignment.getRevision());
      }
      case Rollout rollout -> rollout(problems, rollout);
      case Reward reward -> reward(problems, reward);
      case RewardCheckpoint checkpoint ->
          checkpoint(
              problems,
              checkpoint.getVersion(),
              checkpoint.getUri(),
              checkpoint.getManifestSha256());
      case PolicyCheckpoint checkpoint -> {
        id(problems, "model", checkpoint.getModel());
        checkpoint(
            problems, checkpoint.getVersion(), checkpoint.getUri(), checkpoint.getManifestSha256());
      }
      case Promotion promotion -> promotion(problems, promotion);
      case Lineage lineage -> lineage(problems, lineage);
      case TrainingMetrics metrics -> id(problems, "job", metrics.getJob());
      case DeadLetter letter -> {
        location(problems, "topic", letter.getTopic());
        id(problems, "reason", letter.getReason());
        length(problems, "job", letter.getJob(), MAX_ID_CHARACTERS);
      }
      default ->
          throw new IllegalArgumentException(
              "there are no rules for records of type %s; only topic records can be validated"
                  .formatted(record.getSchema().getFullName()));
    }
    return problems;
  }

  /** Both responses have content. */
  private static void responses(List<String> problems, Judgment judgment) {
    if (judgment.getResponseA().getText().isBlank()) {
      problems.add("responseA.text is empty; a response needs content");
    }
    if (judgment.getResponseB().getText().isBlank()) {
      problems.add("responseB.text is empty; a response needs content");
    }
  }

  /** The response has content, and somebody said something about it. */
  private static void feedback(List<String> problems, Feedback feedback) {
    if (feedback.getResponse().getText().isBlank()) {
      problems.add("response.text is empty; a response needs content");
    }
    Float score = feedback.getScore();
    if (score != null && !(score >= 0 && score <= 1)) {
      problems.add("score is %s; it must be from 0 to 1".formatted(score));
    }
    if (feedback.getLabel() == null
        && score == null
        && feedback.getResponse().getUnsafe() == null) {
      problems.add(
          "label, score and response.unsafe are all null; feedback needs at least one of them");
    }
  }

  /** Whether a judgment chooses between two responses that differ in nothing but outer blanks. */
  public static boolean isBetweenSameResponses(Judgment judgment) {
    return judgment
        .getResponseA()
        .getText()
        .strip()
        .equals(judgment.getResponseB().getText().strip());
  }

  /**
   * Checks that the responses of a judgment differ.
   *
   * @throws RefusedRecordException {@code same-responses}, if they do not
   */
  public static void requireDifferentResponses(Judgment judgment) {
    if (isBetweenSameResponses(judgment)) {
      throw new RefusedRecordException(
          "same-responses",
          "responseA.text and responseB.text are the same; neither can be preferred");
    }
  }

  /** Topic records have a field {@code time}; 0 means that it is not known. */
  private static void time(List<String> problems, SpecificRecordBase record) {
    Schema.Field field = record.getSchema().getField("time");
    if (field != null && record.get(field.pos()) instanceof Instant time) {
      time(problems, "time", time);
    }
  }

  private static void time(List<String> problems, String field, Instant time) {
    if (time.isBefore(Instant.EPOCH) || time.isAfter(LATEST)) {
      problems.add("%s is %s; it must be from 1970 to %s".formatted(field, millis(time), LATEST));
    }
  }

  private static String millis(Instant time) {
    return time.toEpochMilli() + " ms";
  }

  private static void demonstration(List<String> problems, Demonstration demonstration) {
    if (!isText(demonstration)) {
      dialogue(problems, demonstration.getDialogue(), Role.ASSISTANT);
    } else if (demonstration.getDialogue().getFirst().getContent().isBlank()) {
      problems.add("the text is empty; a demonstration needs content");
    }
    int turns = demonstration.getDialogue().size();
    int first = demonstration.getFirstLearnedTurn();
    if (first < 0 || first >= Math.max(1, turns)) {
      problems.add(
          "firstLearnedTurn is %d; it must be a turn from 0 to %d".formatted(first, turns - 1));
    }
  }

  /** Whether a demonstration is a plain text: a single assistant turn. */
  public static boolean isText(Demonstration demonstration) {
    return demonstration.getDialogue().size() == 1
        && demonstration.getDialogue().getFirst().getRole() == Role.ASSISTANT;
  }

  private static void judgedResponse(List<String> problems, String field, JudgedResponse response) {
    if (response.getRolloutId() != null) {
      length(problems, field + ".rolloutId", response.getRolloutId(), MAX_ROLLOUT_ID_CHARACTERS);
    }
  }

  private static void rollout(List<String> problems, Rollout rollout) {
    rolloutId(problems, rollout.getRolloutId());
    id(problems, "promptId", rollout.getPromptId());
    id(problems, "model", rollout.getModel());
    length(problems, "source", rollout.getSource(), MAX_ID_CHARACTERS);
    length(problems, "engine", rollout.getEngine(), MAX_ID_CHARACTERS);
    dialogue(problems, rollout.getDialogue(), Role.USER);
    tokens(problems, "promptTokens", rollout.getPromptTokens());
    tokens(problems, "responseTokens", rollout.getResponseTokens());
    notNegative(problems, "policyVersion", rollout.getPolicyVersion());
    if (rollout.getPromptTime() != null) {
      time(problems, "promptTime", rollout.getPromptTime());
    }
    int responseTokens = rollout.getResponseTokens().size();
    List<Float> logProbs = rollout.getLogProbs();
    if (logProbs.size() != responseTokens) {
      problems.add(
          "logProbs has %d values for %d responseTokens; it needs one for each token"
              .formatted(logProbs.size(), responseTokens));
    }
    for (int i = 0; i < logProbs.size(); i++) {
      float logProb = logProbs.get(i);
      if (!(logProb >= LOWEST_LOG_PROB && logProb <= LOG_PROB_TOLERANCE)) {
        problems.add(
            "logProbs[%d] is %s; a sampled token's is from %s to 0"
                .formatted(i, logProb, LOWEST_LOG_PROB));
        break; // When one value is bad, the others usually are too.
      }
    }
    if (!(rollout.getTemperature() > 0) || !Float.isFinite(rollout.getTemperature())) {
      problems.add("temperature is %s; it must be above 0".formatted(rollout.getTemperature()));
    }
    if (!(rollout.getTopP() > 0 && rollout.getTopP() <= 1)) {
      problems.add("topP is %s; it must be above 0 and at most 1".formatted(rollout.getTopP()));
    }
  }

  private static void reward(List<String> problems, Reward reward) {
    rolloutId(problems, reward.getRolloutId());
    id(problems, "promptId", reward.getPromptId());
    finite(problems, "helpfulnessScore", reward.getHelpfulnessScore());
    finite(problems, "safetyScore", reward.getSafetyScore());
    heads(problems, "helpfulnessHeads", reward.getHelpfulnessHeads());
    heads(problems, "safetyHeads", reward.getSafetyHeads());
    finite(problems, "combined", reward.getCombined());
    finite(problems, "whitened", reward.getWhitened());
    finite(problems, "kl", reward.getKl());
  }

  private static void heads(List<String> problems, String name, List<Float> scores) {
    if (scores.size() > MAX_HEADS) {
      problems.add("%s has %d scores; at most %d".formatted(name, scores.size(), MAX_HEADS));
    }
    scores.forEach(score -> finite(problems, name, score));
  }

  private static void promotion(List<String> problems, Promotion promotion) {
    id(problems, "model", promotion.getModel());
    notNegative(problems, "evaluated", promotion.getEvaluated());
    notNegative(problems, "best", promotion.getBest());
    // A class name, and two versions.
    length(problems, "judge", promotion.getJudge(), MAX_ID_CHARACTERS);
    // A HOLD with version 0 means that no version was promoted yet.
    if (promotion.getVersion() != 0 || promotion.getVerdict() != Verdict.HOLD) {
      checkpoint(
          problems, promotion.getVersion(), promotion.getUri(), promotion.getManifestSha256());
    }
    if (!promotion.getDecisionId().isEmpty()) {
      id(problems, "decisionId", promotion.getDecisionId());
      id(problems, "decidedBy", promotion.getDecidedBy());
      if (promotion.getVersion() == 0) {
        problems.add("version is 0; a person's decision must name the version to serve");
      }
    }
  }

  private static void lineage(List<String> problems, Lineage lineage) {
    id(problems, "model", lineage.getModel());
    length(problems, "parentModel", lineage.getParentModel(), MAX_ID_CHARACTERS);
    notNegative(problems, "version", lineage.getVersion());
    notNegative(problems, "part", lineage.getPart());
    notNegative(problems, "parent", lineage.getParent());
    notNegative(problems, "omitted", lineage.getOmitted());
    if (!LINEAGE_TOPICS.contains(lineage.getTopic())) {
      problems.add(
          "topic is \"%s\"; it must be one of %s"
              .formatted(lineage.getTopic(), String.join(", ", LINEAGE_TOPICS)));
    }
  }

  private static void checkpoint(List<String> problems, long version, String uri, String sha256) {
    notNegative(problems, "version", version);
    location(problems, "uri", uri);
    if (!sha256.matches("[0-9a-f]{64}")) {
      problems.add("manifestSha256 is \"" + sha256 + "\"; it must be 64 lower-case hex digits");
    }
  }

  /**
   * An optional system turn, then user and assistant in alternation; the last turn is {@code end}.
   */
  private static void dialogue(List<String> problems, List<Turn> dialogue, Role end) {
    if (dialogue.isEmpty()) {
      problems.add("dialogue is empty; it needs at least one turn");
      return;
    }
    int before = problems.size();
    int first = dialogue.getFirst().getRole() == Role.SYSTEM ? 1 : 0;
    for (int i = 0; i < dialogue.size() && problems.size() == before; i++) {
      Turn turn = dialogue.get(i);
      if (turn.getContent().isBlank()) {
        problems.add("dialogue[%d].content is empty; every turn needs content".formatted(i));
      }
      Role wanted = (i - first) % 2 == 0 ? Role.USER : Role.ASSISTANT;
      if (i >= first && turn.getRole() != wanted) {
        problems.add(
            "dialogue[%d].role is %s; it must be %s, because USER and ASSISTANT alternate after an optional first SYSTEM turn"
                .formatted(i, turn.getRole(), wanted));
      }
    }
    if (problems.size() == before && dialogue.getLast().getRole() != end) {
      problems.add(
          "dialogue ends with a turn of %s; the last turn must be of %s"
              .formatted(dialogue.getLast().getRole(), end));
    }
  }

  private static void tokens(List<String> problems, String field, List<Integer> tokens) {
    if (tokens.isEmpty()) {
      problems.add(field + " is empty; it needs at least one token");
    }
    for (int i = 0; i < tokens.size(); i++) {
      if (tokens.get(i) < 0) {
        problems.add("%s[%d] is %d; it must not be negative".formatted(field, i, tokens.get(i)));
        break;
      }
    }
  }

  private static void id(List<String> problems, String field, String value) {
    required(problems, field, value, MAX_ID_CHARACTERS);
  }

  private static void rolloutId(List<String> problems, String value) {
    required(problems, "rolloutId", value, MAX_ROLLOUT_ID_CHARACTERS);
  }

  private static void location(List<String> problems, String field, String value) {
    required(problems, field, value, MAX_LOCATION_CHARACTERS);
  }

  private static void required(List<String> problems, String field, String value, int most) {
    if (value.isBlank()) {
      problems.add(field + " is empty");
    }
    length(problems, field, value, most);
  }

  private static void length(List<String> problems, String field, String value, int most) {
    if (value.length() > most) {
      problems.add(
          "%s has %d characters; it must have at most %d".formatted(field, value.length(), most));
    }
  }

  private static void finite(List<String> problems, String field, float value) {
    if (!Float.isFinite(value)) {
      problems.add("%s is %s; it must be finite".formatted(field, value));
    }
  }

  private static void revision(List<String> problems, Integer value) {
    if (value != null) {
      notNegative(problems, "revision", value);
    }
  }

  private static void notNegative(List<String> problems, String field, long value) {
    if (value < 0) {
      problems.add("%s is %d; it must not be negative".formatted(field, value));
    }
  }
}

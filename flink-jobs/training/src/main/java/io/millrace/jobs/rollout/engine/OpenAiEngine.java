package io.millrace.jobs.rollout.engine;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.chat.Role;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.Printable;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.function.LongSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An inference engine that samples a policy: vLLM, our own server, or another one whose {@code
 * /v1/completions} takes token ids and returns the ids, log-probs and version of what it sampled.
 */
public final class OpenAiEngine implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(OpenAiEngine.class);

  private static final String COMPLETIONS = "/v1/completions";
  private static final String CHAT = "/v1/chat/completions";
  private static final String MODELS = "/v1/models";

  private static final int MOST_BYTES = 1 << 20;

  /** Bytes of an answer for each token: its id, log-prob, offset and text, with room. */
  private static final int BYTES_OF_TOKEN = 512;

  /** How often the models are asked for, where versions are models. */
  private static final Duration BETWEEN_LISTS = Duration.ofSeconds(5);

  /** Rounding may leave a certain token's log-prob a hair above 0. */
  private static final float HIGHEST_LOG_PROB = 1e-3f;

  /** Letters with accents, digits, blanks, line breaks and characters of several tokens. */
  private static final String KNOWN_TEXT = "Döes 12+7=19?\n\tYes, \u00e7a va 🦉  ok";

  private static final Pattern ENGINE_NAME = Pattern.compile("[a-z][a-z0-9._-]{0,39}");

  private final OpenAiClient client;
  private final String policy;
  private final String wantedModel;
  private final String initial;
  private final Tokenizer tokenizer;
  private final ChatTemplate template;
  private final int[] stopTokens;
  private final int vocabSize;
  private final LongSupplier nanoTime;
  private final Pattern versionName;

  private volatile String model;
  private volatile String name = "openai";
  private volatile long listedAt;
  private volatile CompletableFuture<Void> listing;

  /**
   * @param policy name of the policy
   * @param wantedModel the model to ask for; empty for the newest version of the policy that the
   *     engine lists, or the policy's name
   * @param initial name of the directory of the initial policy
   * @param tokenizer of the policy
   * @param stopTokens that end a response
   * @param vocabSize of the policy
   */
  public OpenAiEngine(
      OpenAiClient client,
      String policy,
      String wantedModel,
      String initial,
      Tokenizer tokenizer,
      ChatTemplate template,
      int[] stopTokens,
      int vocabSize,
      LongSupplier nanoTime) {
    this.client = client;
    this.policy = policy;
    this.wantedModel = wantedModel;
    this.initial = initial;
    this.tokenizer = tokenizer;
    this.template = template;
    this.stopTokens = stopTokens.clone();
    this.vocabSize = vocabSize;
    this.nanoTime = nanoTime;
    this.versionName = Pattern.compile(Pattern.quote(policy) + "-v(\\d{1,18})");
  }

  /** What the engine calls itself, as the owner of its models, such as {@code vllm}. */
  public String name() {
    return name;
  }

  /**
   * Checks that the engine has the policy's model and tokenizer, and that it takes requests such as
   * {@code probe} and answers them with all that a rollout needs.
   *
   * @return completes exceptionally with an {@link EngineException} that says what differs
   */
  public CompletableFuture<Void> check(SamplingRequest probe) {
    List<Message> dialogue = List.of(new Message(Role.USER, KNOWN_TEXT));
    return list()
        .thenCompose(_ -> textTokens())
        .thenCompose(_ -> chatTokens(dialogue))
        .thenCompose(
            _ ->
                sample(
                    new SamplingRequest(
                        template.promptTokens(dialogue), probe.seeds(), probe.options())))
        .thenAccept(_ -> LOG.info("{} at {} samples {} as model {}", name, client, policy, model))
        .exceptionallyCompose(
            problem -> {
              // Whatever refuses the known text would refuse every prompt.
              Throwable cause = cause(problem);
              return CompletableFuture.failedFuture(
                  cause instanceof EngineException e && e.isOfPrompt()
                      ? EngineException.unusable(e.getMessage())
                      : cause);
            });
  }

  private static Throwable cause(Throwable problem) {
    return problem.getCause() == null ? problem : problem.getCause();
  }

  private CompletableFuture<Void> textTokens() {
    ObjectNode body = OpenAiClient.body();
    body.put("model", model).put("prompt", KNOWN_TEXT).put("max_tokens", 1);
    body.put("return_token_ids", true);
    int[] own = tokenizer.encode(KNOWN_TEXT);
    return client.post(
        COMPLETIONS,
        body,
        MOST_BYTES,
        answer -> {
          int[] tokens = promptTokens(answer);
          // Whether a begin token is put first does not matter: rollouts are asked for by tokens.
          if (!Arrays.equals(tokens, own)
              && !Arrays.equals(tokens, Tokenizer.join(tokenizer.textStart(), own))) {
            throw differs("a known text", own, tokens);
          }
          return null;
        });
  }

  /** The template, where the engine has one; rollouts do not need it. */
  private CompletableFuture<Void> chatTokens(List<Message> dialogue) {
    ObjectNode body = OpenAiClient.body();
    body.put("model", model).put("max_tokens", 1).put("return_token_ids", true);
    body.putArray("messages").addObject().put("role", "user").put("content", KNOWN_TEXT);
    int[] own = template.promptTokens(dialogue);
    CompletableFuture<Void> asked =
        client.post(
            CHAT,
            body,
            MOST_BYTES,
            answer -> {
              int[] tokens = promptTokens(answer);
              if (!Arrays.equals(tokens, own)) {
                throw differs("a dialogue in the chat template", own, tokens);
              }
              return null;
            });
    return asked.exceptionallyCompose(
        problem -> {
          if (cause(problem) instanceof EngineException e && e.isOfPrompt()) {
            LOG.warn(
                "The chat template of the engine cannot be compared with the policy's: {}."
                    + " Rollouts do not need it, since prompts are sent as tokens",
                e.getMessage());
            return CompletableFuture.completedFuture(null);
          }
          return CompletableFuture.failedFuture(cause(problem));
        });
  }

  private static EngineException differs(String what, int[] own, int[] tokens) {
    int at = Arrays.mismatch(own, tokens);
    return EngineException.unusable(
        ("with another tokenizer or template than the policy's: %s has %d tokens there and %d here,"
                + " and differs from token %d on (%s there, %s here). Serve the policy's own"
                + " directory")
            .formatted(what, tokens.length, own.length, at, around(tokens, at), around(own, at)));
  }

  private static String around(int[] tokens, int at) {
    return Arrays.toString(
        Arrays.copyOfRange(tokens, Math.min(at, tokens.length), Math.min(at + 4, tokens.length)));
  }

  private static int[] promptTokens(JsonNode answer) throws EngineException {
    JsonNode ids = answer.path("prompt_token_ids");
    if (!ids.isArray()) {
      ids = answer.path("choices").path(0).path("prompt_token_ids");
    }
    if (!ids.isArray()) {
      throw EngineException.unusable(
          "without prompt_token_ids; the engine must know return_token_ids, as vLLM does");
    }
    return ints(ids, "prompt_token_ids");
  }

  /** Asks for the models, and chooses one. */
  private CompletableFuture<Void> list() {
    listedAt = nanoTime.getAsLong();
    return client.get(
        MODELS,
        MOST_BYTES,
        answer -> {
          choose(answer.path("data"));
          return null;
        });
  }

  private void choose(JsonNode models) throws EngineException {
    List<String> ids = models.findValuesAsText("id");
    Optional<String> chosen =
        wantedModel.isEmpty()
            ? ids.stream()
                .filter(id -> version(id).isPresent())
                .max(Comparator.comparingLong(id -> version(id).getAsLong()))
                .or(() -> Optional.of(policy).filter(ids::contains))
            : Optional.of(wantedModel).filter(ids::contains);
    model =
        chosen.orElseThrow(
            () ->
                EngineException.unusable(
                    "without the model %s (rollout.openai-model); it has %s"
                        .formatted(
                            wantedModel.isEmpty() ? policy : wantedModel,
                            Printable.line(shortened(ids.toString())))));
    for (JsonNode each : models) {
      String owner = each.path("owned_by").asText();
      if (each.path("id").asText().equals(model) && ENGINE_NAME.matcher(owner).matches()) {
        name = owner;
      }
    }
  }

  /** Asks from time to time for newer versions, where each version is a model of its own. */
  private void follow() {
    boolean due = nanoTime.getAsLong() - listedAt >= BETWEEN_LISTS.toNanos();
    if (wantedModel.isEmpty()
        && version(model).isPresent()
        && due
        && (listing == null || listing.isDone())) {
      listing =
          list()
              .exceptionally(
                  problem -> {
                    LOG.warn("The engine's versions are not known: {}", problem.getMessage());
                    return null;
                  });
    }
  }

  private OptionalLong version(String id) {
    Matcher matcher = versionName.matcher(id);
    return matcher.matches()
        ? OptionalLong.of(Long.parseLong(matcher.group(1)))
        : OptionalLong.empty();
  }

  /**
   * Samples all responses to a prompt.
   *
   * @return completes exceptionally with an {@link EngineException} if the engine refuses the
   *     prompt, or its answer cannot be used
   */
  public CompletableFuture<List<SampledResponse>> sample(SamplingRequest request) {
    follow();
    ObjectNode body = OpenAiClient.body();
    body.put("model", model);
    put(body.putArray("prompt"), request.prompt());
    body.put("n", request.samples());
    body.put("max_tokens", request.options().maxTokens());
    body.put("temperature", request.options().temperature());
    body.put("top_p", request.options().topP());
    body.put("seed", request.seeds()[0]);
    body.put("logprobs", 0);
    body.put("return_token_ids", true);
    put(body.putArray("stop_token_ids"), stopTokens);
    // vLLM takes other values from generation_config.json.
    body.put("top_k", -1).put("min_p", 0).put("repetition_penalty", 1);
    long most =
        (long) request.samples()
            * (request.options().maxTokens() + request.prompt().length)
            * BYTES_OF_TOKEN;
    return client.post(
        COMPLETIONS,
        body,
        (int) Math.min(MOST_BYTES + most, Integer.MAX_VALUE - 16),
        answer -> responses(request, answer));
  }

  private static void put(ArrayNode array, int[] tokens) {
    for (int token : tokens) {
      array.add(token);
    }
  }

  private List<SampledResponse> responses(SamplingRequest request, JsonNode answer)
      throws IOException {
    long version = versionOf(answer);
    JsonNode choices = answer.path("choices");
    SampledResponse[] responses = new SampledResponse[request.samples()];
    if (choices.size() != responses.length) {
      throw EngineException.unusable(
          "with %d choices, where n is %d".formatted(choices.size(), responses.length));
    }
    for (JsonNode choice : choices) {
      int index = choice.path("index").asInt(-1);
      if (index < 0 || index >= responses.length || responses[index] != null) {
        throw EngineException.unusable("with choices whose \"index\" is not 0 to n − 1, once each");
      }
      responses[index] = response(request, index, version, choice);
    }
    JsonNode prompt = choices.path(0).path("prompt_token_ids");
    if (prompt.isArray() && !Arrays.equals(ints(prompt, "prompt_token_ids"), request.prompt())) {
      throw EngineException.unusable(
          "with other prompt_token_ids than the request's; it must take token ids as they are");
    }
    return List.of(responses);
  }

  private SampledResponse response(
      SamplingRequest request, int index, long version, JsonNode choice) throws IOException {
    String finish = choice.path("finish_reason").asText();
    if (finish.equals("abort")) {
      throw new IOException("the engine aborted the response, such as to load a version");
    }
    JsonNode ids = choice.path("token_ids");
    JsonNode values = choice.path("logprobs").path("token_logprobs");
    if (!ids.isArray()) {
      throw EngineException.unusable(
          "without token_ids; the engine must know return_token_ids, as vLLM does");
    }
    if (!values.isArray()) {
      throw EngineException.unusable("without logprobs.token_logprobs; rollouts need log-probs");
    }
    int[] tokens = ints(ids, "token_ids");
    if (tokens.length == 0 || tokens.length > request.options().maxTokens()) {
      throw EngineException.unusable(
          "with %d token_ids, where max_tokens is %d"
              .formatted(tokens.length, request.options().maxTokens()));
    }
    for (int token : tokens) {
      if (token < 0 || token >= vocabSize) {
        throw EngineException.unusable(
            "with a token %d; the policy has %d tokens".formatted(token, vocabSize));
      }
    }
    boolean stopped = isStop(tokens[tokens.length - 1]);
    if (!stopped && !finish.equals("length")) {
      throw EngineException.unusable(
          ("with finish_reason \"%s\" and token_ids that end with %d; they must end with one of the"
                  + " policy's stop tokens %s")
              .formatted(
                  Printable.line(shortened(finish)),
                  tokens[tokens.length - 1],
                  Arrays.toString(stopTokens)));
    }
    return new SampledResponse(
        request, index, version, tokens, logProbs(values, tokens.length), stopped);
  }

  private boolean isStop(int token) {
    return Arrays.stream(stopTokens).anyMatch(stop -> stop == token);
  }

  private static float[] logProbs(JsonNode values, int tokens) throws EngineException {
    if (values.size() != tokens) {
      throw EngineException.unusable(
          "with %d token_logprobs and %d token_ids".formatted(values.size(), tokens));
    }
    float[] logProbs = new float[tokens];
    for (int i = 0; i < tokens; i++) {
      float value = values.get(i).isNumber() ? values.get(i).floatValue() : Float.NaN;
      if (!Float.isFinite(value) || value > HIGHEST_LOG_PROB) {
        throw EngineException.unusable(
            "with a log-prob %s; it must be a number of at most 0"
                .formatted(shortened(values.get(i).toString())));
      }
      logProbs[i] = value;
    }
    return logProbs;
  }

  /**
   * The version that an answer names: our own server in {@code system_fingerprint}, others as
   * {@code weight_version} or as the model.
   */
  private long versionOf(JsonNode answer) throws EngineException {
    String fingerprint = answer.path("system_fingerprint").asText();
    List<String> names = new ArrayList<>();
    names.add(fingerprint);
    names.add(answer.path("metadata").path("weight_version").asText());
    names.add(answer.path("model").asText());
    for (String each : names) {
      OptionalLong version = version(each);
      if (version.isPresent()) {
        return version.getAsLong();
      }
    }
    if (fingerprint.equals(policy) || fingerprint.equals(initial)) {
      // Our own server gives a directory that no trainer published its name, without a version.
      return 0;
    }
    throw EngineException.unusable(
        ("without a version of %s: system_fingerprint is \"%s\", model is \"%s\"; one of them must"
                + " be such as %s-v12")
            .formatted(
                policy,
                Printable.line(shortened(fingerprint)),
                Printable.line(shortened(answer.path("model").asText())),
                policy));
  }

  private static String shortened(String text) {
    return text.length() <= 200 ? text : text.substring(0, 200) + "…";
  }

  private static int[] ints(JsonNode array, String field) throws EngineException {
    int[] ints = new int[array.size()];
    for (int i = 0; i < ints.length; i++) {
      if (!array.get(i).isInt()) {
        throw EngineException.unusable("with \"%s\" that are not whole numbers".formatted(field));
      }
      ints[i] = array.get(i).intValue();
    }
    return ints;
  }

  /** Whether requests wait because the engine fails. */
  public boolean isWaiting() {
    return client.isWaiting();
  }

  @Override
  public void close() {
    client.close();
  }
}

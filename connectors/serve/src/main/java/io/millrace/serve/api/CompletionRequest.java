package io.millrace.serve.api;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.model.chat.Message;
import io.millrace.model.chat.Role;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * A request for completions.
 *
 * @param chat whether the prompt is a dialogue
 * @param dialogue the prompt of a chat completion
 * @param prompts the prompts of text completions
 */
public record CompletionRequest(
    boolean chat,
    String model,
    List<Message> dialogue,
    List<TextPrompt> prompts,
    SamplingParameters sampling) {

  private static final int LONGEST_MODEL = 512;
  private static final int MOST_MESSAGES = 2048;
  private static final int MOST_PROMPTS = 128;

  /**
   * The prompt of a text completion: a text, or token ids.
   *
   * @param text null for token ids
   */
  public record TextPrompt(String text, int[] tokens) {}

  /** Reads a request of {@code /v1/chat/completions}. */
  public static CompletionRequest chat(Fields fields) {
    return new CompletionRequest(
        true,
        fields.requiredText("model", LONGEST_MODEL),
        messages(fields),
        List.of(),
        SamplingParameters.read(fields, true));
  }

  /** Reads a request of {@code /v1/completions}. */
  public static CompletionRequest text(Fields fields) {
    return new CompletionRequest(
        false,
        fields.requiredText("model", LONGEST_MODEL),
        List.of(),
        prompts(fields),
        SamplingParameters.read(fields, false));
  }

  /** Two responses to the prompt, for a person to compare. */
  public CompletionRequest comparing() {
    if (!chat) {
      throw ApiException.badRequest(
          "invalid_value", "X-Millrace-Compare needs /v1/chat/completions; send a dialogue there");
    }
    if (sampling.n() != 1 && sampling.n() != 2) {
      throw ApiException.badValue(
          "n", "\"n\" is %d; with X-Millrace-Compare leave it out".formatted(sampling.n()));
    }
    return new CompletionRequest(true, model, dialogue, prompts, sampling.withResponses(2));
  }

  private static List<Message> messages(Fields fields) {
    JsonNode array =
        fields
            .get("messages")
            .orElseThrow(() -> ApiException.badValue("messages", "\"messages\" is missing"));
    if (!array.isArray() || array.isEmpty()) {
      throw ApiException.badValue("messages", "\"messages\" must be an array of messages");
    }
    if (array.size() > MOST_MESSAGES) {
      throw ApiException.badValue(
          "messages",
          "\"messages\" has %d messages; it must have at most %d"
              .formatted(array.size(), MOST_MESSAGES));
    }
    List<Message> messages = new ArrayList<>();
    for (int i = 0; i < array.size(); i++) {
      messages.add(message(array.get(i), "messages[" + i + "]"));
    }
    requireAlternation(messages);
    return List.copyOf(messages);
  }

  private static Message message(JsonNode message, String where) {
    if (!message.isObject()) {
      throw Fields.bad(where, "an object with \"role\" and \"content\"", message);
    }
    String role = message.path("role").asText();
    Role speaker =
        switch (role) {
          case "system", "developer" -> Role.SYSTEM;
          case "user" -> Role.USER;
          case "assistant" -> Role.ASSISTANT;
          default ->
              throw ApiException.badValue(
                  where + ".role",
                  "\"role\" of %s must be system, developer, user or assistant".formatted(where));
        };
    if (message.hasNonNull("tool_calls") || message.hasNonNull("function_call")) {
      throw ApiException.badValue(where, where + " has tool calls, which are not supported");
    }
    String content = content(message.path("content"), where + ".content");
    if (content.isBlank()) {
      throw ApiException.badValue(where + ".content", where + ".content has no text");
    }
    return new Message(speaker, content);
  }

  private static String content(JsonNode content, String where) {
    if (content.isTextual()) {
      return content.textValue();
    }
    if (!content.isArray()) {
      throw ApiException.badValue(where, where + " must be a text or an array of text parts");
    }
    StringBuilder text = new StringBuilder();
    for (JsonNode part : content) {
      if (!part.path("type").asText().equals("text") || !part.path("text").isTextual()) {
        throw ApiException.badValue(
            where, where + " has a part that is no text; only {\"type\":\"text\"} is supported");
      }
      text.append(part.path("text").textValue());
    }
    return text.toString();
  }

  private static void requireAlternation(List<Message> messages) {
    int first = messages.getFirst().role() == Role.SYSTEM ? 1 : 0;
    for (int i = first; i < messages.size(); i++) {
      Role wanted = (i - first) % 2 == 0 ? Role.USER : Role.ASSISTANT;
      if (messages.get(i).role() != wanted) {
        throw ApiException.badValue(
            "messages",
            "messages[%d] is by %s and must be by %s: after an optional system message, user and assistant alternate"
                .formatted(i, name(messages.get(i).role()), name(wanted)));
      }
    }
    if (messages.getLast().role() != Role.USER) {
      throw ApiException.badValue("messages", "the last message must be by user");
    }
  }

  private static String name(Role role) {
    return role.name().toLowerCase(Locale.ROOT);
  }

  private static List<TextPrompt> prompts(Fields fields) {
    JsonNode prompt =
        fields
            .get("prompt")
            .orElseThrow(() -> ApiException.badValue("prompt", "\"prompt\" is missing"));
    if (prompt.isTextual() || isTokens(prompt)) {
      return List.of(prompt(prompt, "prompt"));
    }
    if (!prompt.isArray() || prompt.isEmpty() || prompt.size() > MOST_PROMPTS) {
      throw ApiException.badValue(
          "prompt",
          "\"prompt\" must be a text, an array of token ids, or 1 to %d of them"
              .formatted(MOST_PROMPTS));
    }
    List<TextPrompt> prompts = new ArrayList<>();
    for (int i = 0; i < prompt.size(); i++) {
      prompts.add(prompt(prompt.get(i), "prompt[" + i + "]"));
    }
    return List.copyOf(prompts);
  }

  private static boolean isTokens(JsonNode prompt) {
    return prompt.isArray() && !prompt.isEmpty() && prompt.get(0).isNumber();
  }

  private static TextPrompt prompt(JsonNode prompt, String where) {
    if (prompt.isTextual()) {
      return new TextPrompt(prompt.textValue(), new int[0]);
    }
    if (!isTokens(prompt)) {
      throw ApiException.badValue("prompt", where + " must be a text or an array of token ids");
    }
    int[] tokens = new int[prompt.size()];
    for (int i = 0; i < tokens.length; i++) {
      JsonNode token = prompt.get(i);
      if (!token.isIntegralNumber() || !token.canConvertToInt() || token.intValue() < 0) {
        throw ApiException.badValue(
            "prompt", "%s has a token %s; token ids are from 0".formatted(where, token));
      }
      tokens[i] = token.intValue();
    }
    return new TextPrompt(null, tokens);
  }
}

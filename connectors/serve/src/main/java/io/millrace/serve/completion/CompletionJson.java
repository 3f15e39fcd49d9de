package io.millrace.serve.completion;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.model.sampling.SampledToken;
import io.millrace.serve.api.SamplingParameters;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Completions in OpenAI's form, whole and in parts. */
public final class CompletionJson {

  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  private final Completion completion;
  private final SamplingParameters sampling;
  private final boolean chat;

  public CompletionJson(Completion completion) {
    this.completion = completion;
    this.sampling = completion.request().sampling();
    this.chat = completion.request().chat();
  }

  /** The body of a response that does not stream. */
  public ObjectNode whole() {
    ObjectNode body = head(chat ? "chat.completion" : "text_completion");
    ArrayNode choices = body.putArray("choices");
    for (Choice choice : completion.choices()) {
      ObjectNode node = choices.addObject();
      node.put("index", choice.index()).put("id", choiceId(choice));
      if (chat) {
        node.putObject("message")
            .put("role", "assistant")
            .put("content", choice.content())
            .putNull("refusal");
      } else {
        node.put("text", choice.content());
      }
      more(node, choice, choice.tokens(), 0);
      node.put("finish_reason", choice.finish().reason());
    }
    body.set("usage", usage());
    if (sampling.tokenIds() && chat) {
      body.set("prompt_token_ids", ids(completion.choices().getFirst().prompt()));
    }
    return body;
  }

  /** The first part of a streamed response: who speaks. */
  public ObjectNode role(Choice choice) {
    ObjectNode body = chunk();
    ObjectNode node = body.putArray("choices").addObject();
    node.put("index", choice.index()).put("id", choiceId(choice));
    node.putObject("delta").put("role", "assistant").put("content", "").putNull("refusal");
    node.putNull("logprobs").putNull("finish_reason");
    if (sampling.tokenIds() && choice.index() == 0) {
      body.set("prompt_token_ids", ids(choice.prompt()));
    }
    return body;
  }

  /** A part of a streamed response. */
  public ObjectNode part(Choice.Part part) {
    ObjectNode body = chunk();
    ObjectNode node = body.putArray("choices").addObject();
    Choice choice = part.choice();
    node.put("index", choice.index());
    if (chat) {
      ObjectNode delta = node.putObject("delta");
      if (!part.text().isEmpty()) {
        delta.put("content", part.text());
      }
    } else {
      node.put("id", choiceId(choice)).put("text", part.text());
    }
    more(node, choice, part.tokens(), choice.content().length() - part.text().length());
    node.put("finish_reason", part.finish() == null ? null : part.finish().reason());
    return body;
  }

  /** The last part of a streamed response with {@code include_usage}. */
  public ObjectNode usagePart() {
    ObjectNode body = chunk();
    body.putArray("choices");
    body.set("usage", usage());
    return body;
  }

  private ObjectNode chunk() {
    ObjectNode body = head(chat ? "chat.completion.chunk" : "text_completion");
    if (sampling.includeUsage()) {
      body.putNull("usage");
    }
    return body;
  }

  private ObjectNode head(String object) {
    return NODES
        .objectNode()
        .put("id", completion.id())
        .put("object", object)
        .put("created", completion.created().getEpochSecond())
        .put("model", completion.request().model())
        .put("system_fingerprint", completion.fingerprint());
  }

  private String choiceId(Choice choice) {
    return completion.id() + "/" + choice.index();
  }

  private ObjectNode usage() {
    int prompt = completion.promptTokens();
    int response = completion.responseTokens();
    return NODES
        .objectNode()
        .put("prompt_tokens", prompt)
        .put("completion_tokens", response)
        .put("total_tokens", prompt + response);
  }

  /** Log-probabilities and token ids, where the request asks for them. */
  private void more(ObjectNode node, Choice choice, List<SampledToken> tokens, int offset) {
    if (!sampling.logProbs()) {
      node.putNull("logprobs");
    } else if (chat) {
      chatLogProbs(node.putObject("logprobs"), tokens);
    } else {
      textLogProbs(node.putObject("logprobs"), tokens, offset);
    }
    if (sampling.tokenIds()) {
      node.set("token_ids", ids(tokens.stream().mapToInt(SampledToken::id).toArray()));
      if (!chat && offset == 0) {
        node.set("prompt_token_ids", ids(choice.prompt()));
      }
    }
  }

  private void chatLogProbs(ObjectNode logProbs, List<SampledToken> tokens) {
    ArrayNode content = logProbs.putArray("content");
    for (SampledToken token : tokens) {
      ObjectNode node = content.addObject();
      put(node, token.id(), token.logProb());
      ArrayNode ranked = node.putArray("top_logprobs");
      for (int i = 0; i < token.ranked().tokens().length; i++) {
        put(ranked.addObject(), token.ranked().tokens()[i], token.ranked().logProbs()[i]);
      }
    }
    logProbs.putNull("refusal");
  }

  private void put(ObjectNode node, int token, float logProb) {
    String text = completion.codec().spelling(token);
    node.put("token", text).put("logprob", logProb);
    if (text.indexOf('\ufffd') >= 0) {
      node.putNull("bytes"); // not whole characters
    } else {
      ArrayNode bytes = node.putArray("bytes");
      for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
        bytes.add(b & 0xff);
      }
    }
  }

  private void textLogProbs(ObjectNode logProbs, List<SampledToken> tokens, int offset) {
    ArrayNode texts = logProbs.putArray("tokens");
    ArrayNode values = logProbs.putArray("token_logprobs");
    ArrayNode tops = logProbs.putArray("top_logprobs");
    ArrayNode offsets = logProbs.putArray("text_offset");
    int at = offset;
    for (SampledToken token : tokens) {
      String text = completion.codec().spelling(token.id());
      texts.add(text);
      values.add(token.logProb());
      offsets.add(at);
      at += text.length();
      ObjectNode top = tops.addObject();
      for (int i = 0; i < token.ranked().tokens().length; i++) {
        top.put(
            completion.codec().spelling(token.ranked().tokens()[i]), token.ranked().logProbs()[i]);
      }
    }
  }

  private static ArrayNode ids(int[] tokens) {
    ArrayNode ids = NODES.arrayNode(tokens.length);
    for (int token : tokens) {
      ids.add(token);
    }
    return ids;
  }
}

package io.millrace.model.tokenizer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * The content of {@code tokenizer_config.json}.
 *
 * @param bos token that begins a sequence
 * @param eos token that ends a sequence
 * @param separator token between concatenated samples
 * @param padding token that fills unused positions
 * @param special all tokens that the file calls special, those above included
 * @param chatTemplate Jinja source of the chat template
 */
record TokenizerConfig(
    Optional<String> bos,
    Optional<String> eos,
    Optional<String> separator,
    Optional<String> padding,
    Set<String> special,
    Optional<String> chatTemplate) {

  static TokenizerConfig parse(TokenizerFiles files) {
    String where = files.where(TokenizerFiles.CONFIG);
    ObjectNode config = Json.object(where, files.contents().get(TokenizerFiles.CONFIG));
    Set<String> special = new TreeSet<>();
    for (String key : new String[] {"unk_token", "cls_token", "mask_token"}) {
      token(where, config, key).ifPresent(special::add);
    }
    for (JsonNode extra : config.path("additional_special_tokens")) {
      content(extra).ifPresent(special::add);
    }
    for (JsonNode added : config.path("added_tokens_decoder")) {
      if (added.path("special").asBoolean()) {
        content(added).ifPresent(special::add);
      }
    }
    // Older directories name some tokens in a separate file.
    Optional<byte[]> map = files.optional(TokenizerFiles.SPECIAL_TOKENS);
    if (map.isPresent()) {
      ObjectNode roles = Json.object(files.where(TokenizerFiles.SPECIAL_TOKENS), map.get());
      for (String key : new String[] {"bos_token", "eos_token"}) {
        if (config.path(key).isMissingNode() && roles.has(key)) {
          config.set(key, roles.get(key));
        }
      }
    }
    Optional<String> bos = token(where, config, "bos_token");
    Optional<String> eos = token(where, config, "eos_token");
    Optional<String> separator = token(where, config, "sep_token");
    Optional<String> padding = token(where, config, "pad_token");
    bos.ifPresent(special::add);
    eos.ifPresent(special::add);
    separator.ifPresent(special::add);
    padding.ifPresent(special::add);
    return new TokenizerConfig(
        bos, eos, separator, padding, Set.copyOf(special), chatTemplate(files, where, config));
  }

  private static Optional<String> token(String where, ObjectNode config, String key) {
    JsonNode node = config.path(key);
    if (node.isMissingNode() || node.isNull()) {
      return Optional.empty();
    }
    Optional<String> content = content(node);
    if (content.isEmpty() || content.get().isEmpty()) {
      throw new TokenizerException(
          where, "\"" + key + "\" is " + node + ", expected a token such as \"<s>\"");
    }
    return content;
  }

  /** A token is a string, or an object with the string as {@code content}. */
  private static Optional<String> content(JsonNode token) {
    JsonNode content = token.isObject() ? token.path("content") : token;
    return content.isTextual() ? Optional.of(content.textValue()) : Optional.empty();
  }

  /**
   * The chat template, by transformers' rules: the separate file takes precedence over the config,
   * which may hold several templates by name.
   */
  private static Optional<String> chatTemplate(
      TokenizerFiles files, String where, ObjectNode config) {
    Optional<byte[]> file = files.optional(TokenizerFiles.TEMPLATE);
    if (file.isPresent()) {
      return file.map(bytes -> new String(bytes, StandardCharsets.UTF_8));
    }
    JsonNode template = config.path("chat_template");
    for (JsonNode named : template) {
      if (named.path("name").asText().equals("default")) {
        template = named.path("template");
        break;
      }
    }
    if (template.isMissingNode() || template.isNull()) {
      return Optional.empty();
    }
    if (!template.isTextual()) {
      throw new TokenizerException(
          where, "\"chat_template\" is neither a template nor a list with one named \"default\"");
    }
    return Optional.of(template.textValue());
  }
}

package io.millrace.model.chat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.training.ByteLevelBpeTrainer;
import java.io.File;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Differences of vocabularies and chat templates are found and named. */
class TokenizerDifferenceTest {

  private static final List<String> TEXTS =
      List.of("[INST] How do I bake bread? [/INST]", " First, mix flour with water. ");

  /**
   * Llama 2-Chat's form as Meta published it: white space around the content of turns is removed.
   */
  private static final String STRIPPING =
      """
      {%- set first = 1 if messages[0]['role'] == 'system' else 0 -%}
      {%- for message in messages[first:] -%}
      {%- if message['role'] == 'user' -%}
      {%- if first and loop.first -%}
      {%- set content = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' + message['content'] -%}
      {%- else -%}
      {%- set content = message['content'] -%}
      {%- endif -%}
      {{- bos_token + '[INST] ' + content.strip() + ' [/INST]' -}}
      {%- else -%}
      {{- ' ' + message['content'].strip() + ' ' + eos_token -}}
      {%- endif -%}
      {%- endfor -%}
      """;

  private static Tokenizer trained(List<String> texts, int size) {
    return ByteLevelBpeTrainer.train(texts, size).tokenizer();
  }

  @Test
  void aCopyHasNoDifference(@TempDir Path directory) {
    try (Tokenizer one = trained(TEXTS, 300)) {
      one.save(directory);
      try (Tokenizer copy = Tokenizer.load(directory)) {
        assertEquals(Optional.empty(), TokenizerDifference.between(one, copy));
      }
    }
  }

  @Test
  void namesTheFirstTokenThatDiffers() {
    try (Tokenizer one = trained(TEXTS, 300);
        Tokenizer other = trained(List.of("zebra zebra zebra"), 300);
        Tokenizer shorter = trained(TEXTS, 270)) {
      String difference = TokenizerDifference.between(one, other).orElseThrow();
      assertTrue(difference.startsWith("token \""), difference);
      assertTrue(TokenizerDifference.between(one, shorter).isPresent());
    }
  }

  @Test
  void aDifferentChatTemplateIsADifference(@TempDir Path directory) throws Exception {
    try (Tokenizer one = trained(TEXTS, 300)) {
      one.save(directory);
      File file = directory.resolve("tokenizer_config.json").toFile();
      ObjectMapper json = new ObjectMapper();
      ObjectNode config = (ObjectNode) json.readTree(file);
      config.put("chat_template", STRIPPING);
      json.writeValue(file, config);
      try (Tokenizer other = Tokenizer.load(directory)) {
        String difference = TokenizerDifference.between(one, other).orElseThrow();
        assertTrue(difference.startsWith("a dialogue becomes"), difference);
      }
    }
  }
}

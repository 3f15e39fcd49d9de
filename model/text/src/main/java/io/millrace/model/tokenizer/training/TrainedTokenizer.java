package io.millrace.model.tokenizer.training;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.model.chat.Llama2Form;
import io.millrace.model.tokenizer.Json;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.TokenizerFiles;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * A byte-level byte-pair encoding that {@link ByteLevelBpeTrainer} learned, and its files in
 * Hugging Face's format. Its tokens are the special tokens, then the bytes, then the merges.
 *
 * @param vocabulary tokens by id
 * @param merges pairs {@code "left right"}, in the order of merging
 */
public record TrainedTokenizer(List<String> vocabulary, List<String> merges) {
  static final String PADDING = "<pad>";
  static final String BOS = "<s>";
  static final String EOS = "</s>";
  static final String SEPARATOR = "<sep>";

  /**
   * By id, 0 to 3. Beginning and end are 1 and 2, the defaults of a Llama's {@code config.json}.
   */
  static final List<String> SPECIAL_TOKENS = List.of(PADDING, BOS, EOS, SEPARATOR);

  public TrainedTokenizer {
    vocabulary = List.copyOf(vocabulary);
    merges = List.copyOf(merges);
    if (!vocabulary.subList(0, Math.min(4, vocabulary.size())).equals(SPECIAL_TOKENS)) {
      throw new IllegalArgumentException(
          "the vocabulary begins with "
              + vocabulary.subList(0, Math.min(4, vocabulary.size()))
              + " but must begin with the special tokens "
              + SPECIAL_TOKENS);
    }
  }

  /** The tokenizer. The caller closes it. */
  public Tokenizer tokenizer() {
    return new Tokenizer(files());
  }

  /**
   * Writes {@code tokenizer.json} and {@code tokenizer_config.json}. Creates the directory if
   * necessary. The same tokenizer gives the same bytes.
   *
   * @throws TokenizerException if a file cannot be written
   */
  public void save(Path directory) {
    files().write(directory);
  }

  private TokenizerFiles files() {
    return new TokenizerFiles(
        "trained tokenizer",
        Map.of(
            TokenizerFiles.TOKENIZER, bytes(tokenizerJson()),
            TokenizerFiles.CONFIG, bytes(configJson())));
  }

  private ObjectNode tokenizerJson() {
    ObjectNode root = Json.MAPPER.createObjectNode();
    root.put("version", "1.0").putNull("truncation").putNull("padding");
    ArrayNode added = root.putArray("added_tokens");
    for (String token : SPECIAL_TOKENS) {
      added
          .addObject()
          .put("id", vocabulary.indexOf(token))
          .put("content", token)
          .put("single_word", false)
          .put("lstrip", false)
          .put("rstrip", false)
          .put("normalized", false)
          .put("special", true);
    }
    root.putNull("normalizer");
    byteLevel(root.putObject("pre_tokenizer"));
    addPostProcessor(root);
    byteLevel(root.putObject("decoder"));
    ObjectNode model = root.putObject("model");
    model
        .put("type", "BPE")
        .putNull("dropout")
        .putNull("unk_token")
        .putNull("continuing_subword_prefix")
        .putNull("end_of_word_suffix")
        .put("fuse_unk", false)
        .put("byte_fallback", false)
        .put("ignore_merges", false);
    ObjectNode vocab = model.putObject("vocab");
    for (int id = 0; id < vocabulary.size(); id++) {
      vocab.put(vocabulary.get(id), id);
    }
    merges.forEach(model.putArray("merges")::add);
    return root;
  }

  private static void byteLevel(ObjectNode component) {
    component
        .put("type", "ByteLevel")
        .put("add_prefix_space", false)
        .put("trim_offsets", true)
        .put("use_regex", true);
  }

  /** Makes other libraries begin a plain text with the bos token, as Llama's tokenizers do. */
  private void addPostProcessor(ObjectNode root) {
    ObjectNode processor = root.putObject("post_processor").put("type", "TemplateProcessing");
    ArrayNode single = processor.putArray("single");
    special(single, 0);
    sequence(single, "A", 0);
    ArrayNode pair = processor.putArray("pair");
    special(pair, 0);
    sequence(pair, "A", 0);
    special(pair, 1);
    sequence(pair, "B", 1);
    ObjectNode bos = processor.putObject("special_tokens").putObject(BOS).put("id", BOS);
    bos.putArray("ids").add(vocabulary.indexOf(BOS));
    bos.putArray("tokens").add(BOS);
  }

  private static void special(ArrayNode template, int type) {
    template.addObject().putObject("SpecialToken").put("id", BOS).put("type_id", type);
  }

  private static void sequence(ArrayNode template, String id, int type) {
    template.addObject().putObject("Sequence").put("id", id).put("type_id", type);
  }

  private static ObjectNode configJson() {
    return Json.MAPPER
        .createObjectNode()
        .put("tokenizer_class", "PreTrainedTokenizerFast")
        .put("bos_token", BOS)
        .put("eos_token", EOS)
        .put("sep_token", SEPARATOR)
        .put("pad_token", PADDING)
        .put("add_bos_token", true)
        .put("add_eos_token", false)
        .put("clean_up_tokenization_spaces", false)
        .put("chat_template", Llama2Form.SOURCE);
  }

  private static byte[] bytes(JsonNode json) {
    return (json.toPrettyString() + "\n").getBytes(StandardCharsets.UTF_8);
  }
}

package io.millrace.model.tokenizer;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A newly trained vocabulary, to be written as Hugging Face's files. */
public final class TrainedTokenizer {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final ByteLevelBpeTrainer.Vocabulary vocabulary;

  TrainedTokenizer(ByteLevelBpeTrainer.Vocabulary vocabulary) {
    this.vocabulary = vocabulary;
  }

  /** Tokens in the vocabulary; fewer than asked for where the texts gave no more merges. */
  public int vocabSize() {
    return vocabulary.tokens().size();
  }

  /** Writes {@code tokenizer.json} and {@code tokenizer_config.json}. */
  public void save(Path directory) throws IOException {
    Files.createDirectories(directory);
    JSON.writerWithDefaultPrettyPrinter()
        .writeValue(directory.resolve(Tokenizer.TOKENIZER).toFile(), tokenizer());
    JSON.writerWithDefaultPrettyPrinter()
        .writeValue(directory.resolve(Tokenizer.CONFIG).toFile(), config());
  }

  private ObjectNode tokenizer() {
    ObjectNode root = JSON.createObjectNode();
    root.put("version", "1.0").putNull("truncation").putNull("padding");
    ArrayNode added = root.putArray("added_tokens");
    for (SpecialToken token : SpecialToken.values()) {
      added
          .addObject()
          .put("id", vocabulary.tokens().get(token.text()))
          .put("content", token.text())
          .put("single_word", false)
          .put("lstrip", false)
          .put("rstrip", false)
          .put("normalized", false)
          .put("special", true);
    }
    root.putNull("normalizer");
    byteLevel(root.putObject("pre_tokenizer"), false);
    root.putNull("post_processor");
    byteLevel(root.putObject("decoder"), true);
    ObjectNode model = root.putObject("model");
    model.put("type", "BPE").putNull("dropout").putNull("unk_token");
    model.putNull("continuing_subword_prefix").putNull("end_of_word_suffix");
    model.put("fuse_unk", false).put("byte_fallback", false).put("ignore_merges", false);
    ObjectNode vocab = model.putObject("vocab");
    vocabulary.tokens().forEach(vocab::put);
    ArrayNode merges = model.putArray("merges");
    vocabulary.merges().forEach(pair -> merges.addArray().add(pair.get(0)).add(pair.get(1)));
    return root;
  }

  private static void byteLevel(ObjectNode node, boolean addPrefixSpace) {
    node.put("type", "ByteLevel")
        .put("add_prefix_space", addPrefixSpace)
        .put("trim_offsets", true)
        .put("use_regex", true);
  }

  private static ObjectNode config() {
    ObjectNode root = JSON.createObjectNode();
    root.put("tokenizer_class", "PreTrainedTokenizerFast");
    root.put("bos_token", SpecialToken.BOS.text());
    root.put("eos_token", SpecialToken.EOS.text());
    root.put("pad_token", SpecialToken.PAD.text());
    root.put("sep_token", SpecialToken.SEPARATOR.text());
    root.put("add_bos_token", false);
    root.put("add_eos_token", false);
    root.put("clean_up_tokenization_spaces", false);
    root.put("model_max_length", 1_000_000_000);
    root.put("chat_template", ChatTemplate.LLAMA2);
    return root;
  }
}

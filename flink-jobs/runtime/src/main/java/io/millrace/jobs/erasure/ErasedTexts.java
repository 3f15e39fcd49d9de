package io.millrace.jobs.erasure;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Turn;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * The texts of erased records, to search files for them. A text that a record of others has, too,
 * is no sign of an erased record. Nothing here prints a text.
 */
final class ErasedTexts {

  /** A shorter text may stand anywhere by chance. */
  static final int LEAST_BYTES = 12;

  /** Bytes of a text that are compared. */
  private static final int COMPARED_BYTES = 512;

  private static final int MOST_TEXTS = 20_000;
  private static final long MOST_CHARACTERS = 16 << 20;

  private final Set<String> texts = new LinkedHashSet<>();
  private long characters;
  private long tooShort;
  private long beyond;
  private long ofOthers;

  /** Adds the texts of an erased record. */
  void add(SpecificRecordBase record) {
    of(record).forEach(this::add);
  }

  /** Adds the text of an erased record that cannot be decoded. */
  void add(String text) {
    if (text.getBytes(StandardCharsets.UTF_8).length < LEAST_BYTES) {
      tooShort++;
    } else if (texts.size() >= MOST_TEXTS || characters + text.length() > MOST_CHARACTERS) {
      beyond++;
    } else if (texts.add(text)) {
      characters += text.length();
    }
  }

  /** Removes the texts of a record that stays. */
  void keep(SpecificRecordBase record) {
    if (texts.isEmpty()) {
      return;
    }
    for (String text : of(record)) {
      if (texts.remove(text)) {
        ofOthers++;
      }
    }
  }

  private static List<String> of(SpecificRecordBase record) {
    return switch (record) {
      case Prompt prompt -> contents(prompt.getDialogue());
      case Demonstration demonstration -> contents(demonstration.getDialogue());
      case Judgment judgment ->
          contents(
              judgment.getDialogue(),
              judgment.getResponseA().getText(),
              judgment.getResponseB().getText());
      case Feedback feedback ->
          contents(feedback.getDialogue(), feedback.getResponse().getText(), feedback.getReason());
      case Rollout rollout -> contents(rollout.getDialogue(), rollout.getResponseText());
      default -> List.of();
    };
  }

  private static List<String> contents(List<Turn> dialogue, String... more) {
    List<String> contents = new ArrayList<>(dialogue.stream().map(Turn::getContent).toList());
    contents.addAll(Arrays.asList(more));
    return contents;
  }

  int count() {
    return texts.size();
  }

  /** A search for the texts, in UTF-8 and as JSON writes them. */
  TextSearch search() {
    List<byte[]> patterns = new ArrayList<>();
    for (String text : texts) {
      Set<String> forms = new LinkedHashSet<>();
      forms.add(text);
      String quoted = new String(JsonStringEncoder.getInstance().quoteAsString(text));
      forms.add(quoted);
      forms.add(ascii(quoted));
      for (String form : forms) {
        byte[] bytes = form.getBytes(StandardCharsets.UTF_8);
        patterns.add(Arrays.copyOf(bytes, Math.min(bytes.length, COMPARED_BYTES)));
      }
    }
    return new TextSearch(patterns);
  }

  /** As Python's {@code json.dumps} writes it. */
  private static String ascii(String quoted) {
    StringBuilder ascii = new StringBuilder();
    for (int i = 0; i < quoted.length(); i++) {
      char one = quoted.charAt(i);
      if (one < 128) {
        ascii.append(one);
      } else {
        ascii.append("\\u%04x".formatted((int) one));
      }
    }
    return ascii.toString();
  }

  /** What is not searched for, one sentence each. */
  List<String> limits() {
    List<String> limits = new ArrayList<>();
    if (ofOthers > 0) {
      limits.add(
          "%d texts are in records of others, too, and were not searched for".formatted(ofOthers));
    }
    if (tooShort > 0) {
      limits.add(
          "%d texts of less than %d bytes were not searched for".formatted(tooShort, LEAST_BYTES));
    }
    return limits;
  }

  /** Why the search is not complete; empty if it is. */
  Optional<String> problem() {
    return beyond == 0
        ? Optional.empty()
        : Optional.of(
            "%d texts were not searched for: a search takes %d texts and %d characters; search for them in the directories by hand"
                .formatted(beyond, MOST_TEXTS, MOST_CHARACTERS));
  }
}

package io.millrace.model.tokenizer;

import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/** Tokens and their ids. Each token has one id and each id at most one token; ids can have gaps. */
public final class Vocabulary {
  /** Far above any vocabulary in use. Larger ids in a hostile file would lead to huge arrays. */
  private static final int MAX_ID = 1 << 22;

  private final String where;
  private final Map<String, Integer> ids = new HashMap<>();
  private final Map<Integer, String> tokens = new HashMap<>();
  private int size;

  /**
   * An empty vocabulary.
   *
   * @param where the file, for error messages
   */
  Vocabulary(String where) {
    this.where = where;
  }

  /**
   * Adds a token. Adding the same pair again has no effect.
   *
   * @throws TokenizerException if the token is not Unicode text, if the id is out of range, or if
   *     either is in use
   */
  void add(String token, int id) {
    if (token.isEmpty() || !Texts.wellFormed(token).equals(token)) {
      throw new TokenizerException(where, "token %d is empty or not Unicode text".formatted(id));
    }
    if (id < 0 || id > MAX_ID) {
      throw new TokenizerException(
          where, "token \"%s\" has id %d, outside 0 to %d".formatted(token, id, MAX_ID));
    }
    Integer other = ids.putIfAbsent(token, id);
    if (other != null && other != id) {
      throw new TokenizerException(
          where, "token \"%s\" has two ids, %d and %d".formatted(token, other, id));
    }
    String twin = tokens.putIfAbsent(id, token);
    if (twin != null && !twin.equals(token)) {
      throw new TokenizerException(
          where, "id %d stands for two tokens, \"%s\" and \"%s\"".formatted(id, twin, token));
    }
    size = Math.max(size, id + 1);
  }

  boolean contains(String token) {
    return ids.containsKey(token);
  }

  boolean contains(int id) {
    return tokens.containsKey(id);
  }

  Optional<String> token(int id) {
    return Optional.ofNullable(tokens.get(id));
  }

  OptionalInt id(String token) {
    Integer id = ids.get(token);
    return id == null ? OptionalInt.empty() : OptionalInt.of(id);
  }

  /** One more than the highest id. */
  int size() {
    return size;
  }

  /** Ids by token, unmodifiable. */
  public Map<String, Integer> ids() {
    return Collections.unmodifiableMap(ids);
  }
}

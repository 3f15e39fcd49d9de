package io.millrace.serve.notify;

import io.millrace.connectors.kafka.KafkaSettings;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which endpoints follow which versions.
 *
 * @param model name of the published model
 * @param promotedOnly whether {@code promotions} is followed in place of {@code policy-checkpoints}
 * @param roots whether an announced checkpoint may lie there
 * @param directory copies of versions, which the engines read
 * @param engineDirectory the same directory as the engines see it; empty if it is the same path
 * @param requestTimeout of a question to an endpoint
 * @param loadTimeout of a call that loads weights
 * @param retries after failures that an endpoint reports; one that does not answer is waited for
 * @param retryDelay before the first retry; it doubles up to 30 seconds
 * @param checkEvery how often an endpoint is asked whether it still has its version
 */
public record NotifySettings(
    KafkaSettings kafka,
    String model,
    boolean promotedOnly,
    Predicate<String> roots,
    List<Endpoint> endpoints,
    Path directory,
    Optional<String> engineDirectory,
    Duration requestTimeout,
    Duration loadTimeout,
    int retries,
    Duration retryDelay,
    Duration checkEvery) {

  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,99}");
  private static final Pattern ENDPOINT = Pattern.compile("(\\S+)\\s+(https?://\\S+?)/*(?:/v1)?/*");

  /** A kind of engine. */
  public enum Kind {
    /** vLLM; requests in flight go on while weights change. */
    VLLM,
    /** vLLM, which sleeps while weights change. */
    VLLM_SLEEP,
    /** SGLang. */
    SGLANG
  }

  /**
   * An endpoint.
   *
   * @param name in messages, and in the name of its consumer group
   * @param key sent as a bearer token; empty for none
   */
  public record Endpoint(String name, Kind kind, URI address, String key) {

    public Endpoint {
      if (!NAME.matcher(name).matches()) {
        throw new IllegalArgumentException(
            "notify.endpoints has the name \"%s\"; a name has at most 100 letters, digits, '_' and '-'"
                .formatted(name));
      }
    }

    /**
     * Reads an endpoint such as {@code vllm http://gpu1:8000}.
     *
     * @throws IllegalArgumentException with the forms that there are
     */
    public static Endpoint parse(String name, String text, String key) {
      Matcher parts = ENDPOINT.matcher(text.strip());
      if (parts.matches()) {
        Optional<Kind> kind =
            switch (parts.group(1)) {
              case "vllm" -> Optional.of(Kind.VLLM);
              case "vllm-sleep" -> Optional.of(Kind.VLLM_SLEEP);
              case "sglang" -> Optional.of(Kind.SGLANG);
              default -> Optional.empty();
            };
        URI address = address(parts.group(2));
        if (kind.isPresent() && address != null) {
          return new Endpoint(name, kind.get(), address, key);
        }
      }
      throw new IllegalArgumentException(
          "notify.endpoints.%s is \"%s\"; it must be vllm, vllm-sleep or sglang and an address, such as: sglang http://gpu1:30000"
              .formatted(name, text));
    }

    /** Null if it is none, or has a user, a path or a query. */
    private static URI address(String text) {
      try {
        URI address = URI.create(text);
        boolean plain =
            address.getHost() != null
                && address.getRawUserInfo() == null
                && address.getRawPath().isEmpty()
                && address.getRawQuery() == null
                && address.getRawFragment() == null;
        return plain ? address : null;
      } catch (IllegalArgumentException _) {
        return null;
      }
    }

    /** Without the key. */
    @Override
    public String toString() {
      return name + " at " + address;
    }
  }

  public NotifySettings {
    endpoints = List.copyOf(endpoints);
    if (endpoints.isEmpty()) {
      throw new IllegalArgumentException(
          "notify.endpoints is empty; name the engines, such as --set 'notify.endpoints.a=vllm"
              + " http://gpu1:8000'");
    }
  }

  /** The consumer group of an endpoint. */
  String group(Endpoint endpoint) {
    return kafka.topicPrefix() + "notify." + endpoint.name();
  }
}

package io.millrace.serve.completion;

import io.millrace.model.sampling.SamplingRequest;
import io.millrace.schemas.Nearest;
import io.millrace.serve.api.ApiException;
import io.millrace.serve.sampling.Lane;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleSupplier;

/** The models by the names that clients use: served models, and aliases that split requests. */
public final class Models {

  private final Map<String, Lane> lanes = new LinkedHashMap<>();
  private final Map<String, List<Share>> aliases = new LinkedHashMap<>();
  private final DoubleSupplier random;

  /**
   * A model's part of an alias.
   *
   * @param weight above 0; the parts of an alias need not add up to 1
   */
  public record Share(String model, double weight) {}

  /**
   * @param random uniform numbers in [0, 1), which choose among the models of an alias
   */
  public Models(List<Lane> served, Map<String, List<Share>> aliases, DoubleSupplier random) {
    served.forEach(lane -> lanes.put(lane.id(), lane));
    this.aliases.putAll(aliases);
    this.random = random;
    aliases.forEach(
        (alias, shares) -> {
          if (lanes.containsKey(alias)) {
            throw new IllegalArgumentException(
                "alias \"%s\" is also the name of a model; rename one of them".formatted(alias));
          }
          for (Share share : shares) {
            if (!lanes.containsKey(share.model()) || !(share.weight() > 0)) {
              throw new IllegalArgumentException(
                  "alias \"%s\" has model \"%s\" with weight %s; it must be one of %s, with a weight above 0"
                      .formatted(alias, share.model(), share.weight(), lanes.keySet()));
            }
          }
        });
  }

  /** The served models. */
  public List<Lane> lanes() {
    return List.copyOf(lanes.values());
  }

  /** Names that clients may use. */
  public List<String> names() {
    List<String> names = new ArrayList<>(lanes.keySet());
    names.addAll(aliases.keySet());
    return names;
  }

  /**
   * The model for a request.
   *
   * @param user the end user of the request, who always gets the same model of an alias; may be
   *     empty
   * @throws ApiException 404 for an unknown name, 503 for a model without a version
   */
  public Lane choose(String name, String user) {
    Lane lane = lanes.get(name);
    if (lane == null) {
      List<Share> shares = aliases.get(name);
      if (shares == null) {
        throw ApiException.notFound(
            "model_not_found",
            "model",
            "the model \"%s\" does not exist%s; /v1/models lists the models"
                .formatted(
                    name.length() > 60 ? name.substring(0, 60) + "…" : name,
                    Nearest.hint(name, names())));
      }
      lane = lanes.get(split(name, shares, user));
    }
    if (lane.codec().isEmpty()) {
      throw ApiException.unavailable(
          "model_not_ready",
          Duration.ofSeconds(2),
          "the model \"%s\" has no version yet; it waits for an announcement".formatted(lane.id()));
    }
    return lane;
  }

  private String split(String alias, List<Share> shares, String user) {
    double total = shares.stream().mapToDouble(Share::weight).sum();
    double at = (user.isEmpty() ? random.getAsDouble() : uniform(alias + '\n' + user)) * total;
    for (Share share : shares) {
      at -= share.weight();
      if (at < 0) {
        return share.model();
      }
    }
    return shares.getLast().model();
  }

  /** A number in [0, 1) that depends on a text only. */
  static double uniform(String text) {
    long hash = SamplingRequest.seed(0, text);
    return (hash >>> 11) * 0x1p-53;
  }

  /** Whether every model has a version. */
  public boolean isReady() {
    return lanes.values().stream().allMatch(lane -> lane.codec().isPresent());
  }
}

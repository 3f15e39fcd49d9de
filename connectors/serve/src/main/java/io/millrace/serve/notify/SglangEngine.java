package io.millrace.serve.notify;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * SGLang. Whole weights are loaded by {@code /update_weights_from_disk} with the label as {@code
 * weight_version}, which {@code /get_model_info} names; releases without it name the path. SGLang
 * keeps the weights before when it refuses new ones. An adapter is loaded by {@code
 * /load_lora_adapter}.
 */
final class SglangEngine implements Engine {

  private static final String UPDATE = "/update_weights_from_disk";

  private final EngineHttp http;
  private final LoraAdapters adapters;

  SglangEngine(EngineHttp http) {
    this.http = http;
    this.adapters = new LoraAdapters(http, "/load_lora_adapter", "/unload_lora_adapter");
  }

  @Override
  public void prepare(EngineVersion version) {}

  @Override
  public boolean has(EngineVersion version) throws EngineException, InterruptedException {
    if (version.adapter()) {
      return adapters.has(version);
    }
    JsonNode info = http.get("/get_model_info");
    return info.hasNonNull("weight_version")
        ? info.path("weight_version").asText().equals(version.label())
        : info.path("model_path").asText().equals(version.enginePath());
  }

  @Override
  public void load(EngineVersion version) throws EngineException, InterruptedException {
    if (version.adapter()) {
      adapters.load(version);
      return;
    }
    ObjectNode body = EngineHttp.body();
    body.put("model_path", version.enginePath());
    body.put("weight_version", version.label());
    body.put("flush_cache", true);
    EngineAnswers.requireSuccess(http, UPDATE, http.post(UPDATE, body));
  }

  @Override
  public boolean losesVersion(EngineVersion version) {
    return false;
  }

  @Override
  public void resume(EngineVersion committed) {
    if (committed.adapter()) {
      adapters.resume(committed);
    }
  }
}

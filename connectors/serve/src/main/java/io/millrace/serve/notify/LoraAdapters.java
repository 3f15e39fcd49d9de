package io.millrace.serve.notify;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.regex.Pattern;

/**
 * Adapters of an engine, each under the label of its version. The version before the newest stays
 * for requests in flight; earlier ones are unloaded.
 */
final class LoraAdapters {

  private final EngineHttp http;
  private final String load;
  private final String unload;

  /** The version in use before the newest; null if there is none. */
  private String previous;

  private String newest;

  /**
   * @param load path of the call that loads an adapter
   * @param unload path of the call that unloads one
   */
  LoraAdapters(EngineHttp http, String load, String unload) {
    this.http = http;
    this.load = load;
    this.unload = unload;
  }

  boolean has(EngineVersion version) throws EngineException, InterruptedException {
    return http.models().contains(version.label());
  }

  void resume(EngineVersion committed) {
    newest = committed.label();
  }

  void load(EngineVersion version) throws EngineException, InterruptedException {
    List<String> before = http.models();
    if (!before.contains(version.label())) {
      ObjectNode body = EngineHttp.body();
      body.put("lora_name", version.label());
      body.put("lora_path", version.enginePath());
      EngineAnswers.requireSuccess(http, load, http.post(load, body));
    }
    if (!version.label().equals(newest)) {
      previous = newest;
      newest = version.label();
    }
    Pattern ours = Pattern.compile(Pattern.quote(version.model()) + "-v\\d{1,18}");
    for (String other : before) {
      if (ours.matcher(other).matches() && !other.equals(newest) && !other.equals(previous)) {
        http.post(unload, EngineHttp.body().put("lora_name", other));
      }
    }
  }
}

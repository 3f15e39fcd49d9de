package io.millrace.serve.notify;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/**
 * vLLM. An adapter is loaded by {@code /v1/load_lora_adapter}, under the label of its version.
 * Whole weights are read again, with {@code /collective_rpc}, from the path that the engine was
 * started with: a symbolic link that is pointed at the version first. vLLM does not name the
 * version of whole weights; the call returns when all workers have them.
 */
final class VllmEngine implements Engine {

  private final EngineHttp http;
  private final Path link;
  private final boolean sleeps;
  private final LoraAdapters adapters;

  /** The label of the whole weights that this process had the engine read; null for none. */
  private String loaded;

  /**
   * @param link the path that the engine was started with, for whole weights
   * @param sleeps whether the engine sleeps while weights change: it then aborts what is in flight
   */
  VllmEngine(EngineHttp http, Path link, boolean sleeps) {
    this.http = http;
    this.link = link;
    this.sleeps = sleeps;
    this.adapters = new LoraAdapters(http, "/v1/load_lora_adapter", "/v1/unload_lora_adapter");
  }

  @Override
  public void prepare(EngineVersion version) {
    if (!version.adapter() && !Files.exists(link)) {
      point(version.directory());
    }
  }

  @Override
  public boolean has(EngineVersion version) throws EngineException, InterruptedException {
    if (version.adapter()) {
      return adapters.has(version);
    }
    boolean answers = !http.models().isEmpty();
    if (sleeps) {
      answers &= !http.get("/is_sleeping").path("is_sleeping").asBoolean();
    }
    return answers && version.label().equals(loaded);
  }

  @Override
  public void load(EngineVersion version) throws EngineException, InterruptedException {
    if (version.adapter()) {
      adapters.load(version);
      return;
    }
    loaded = null;
    point(version.directory());
    if (sleeps) {
      http.post("/sleep?level=2");
      http.post("/wake_up?tags=weights");
    }
    http.post("/collective_rpc", EngineHttp.body().put("method", "reload_weights"));
    if (sleeps) {
      http.post("/wake_up?tags=kv_cache");
    } else {
      // Keys and values of the weights before.
      http.post("/reset_prefix_cache");
    }
    loaded = version.label();
  }

  /** Points the link at a sibling directory, by one atomic rename. */
  private void point(Path directory) {
    Path next = link.resolveSibling(link.getFileName() + ".next");
    try {
      Files.deleteIfExists(next);
      Files.createSymbolicLink(next, directory.getFileName());
      Files.move(next, link, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new UncheckedIOException(
          "the link %s cannot be pointed at %s: %s".formatted(link, directory, e.getMessage()), e);
    }
  }

  @Override
  public boolean losesVersion(EngineVersion version) {
    return !version.adapter();
  }

  /** An engine that was started again since has read the link, too. */
  @Override
  public void resume(EngineVersion committed) {
    if (committed.adapter()) {
      adapters.resume(committed);
    } else {
      loaded = committed.label();
    }
  }
}

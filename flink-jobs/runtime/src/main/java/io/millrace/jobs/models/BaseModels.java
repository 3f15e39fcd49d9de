package io.millrace.jobs.models;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.FrozenWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.Weights;
import io.millrace.model.tensor.Backend;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.StringJoiner;

/**
 * Models from checkpoints, with the frozen weights below adapters. All models of a process share
 * one copy of each base, on one device in one precision.
 */
public final class BaseModels {

  /**
   * Frozen weights of a process.
   *
   * @param group of the backends that may read them
   */
  private record Key(String group, String content) {}

  private static final Map<Key, FrozenWeights> LOADED = new HashMap<>();

  /** Digests of weights that no manifest lists, by {@link #content}: each is computed once. */
  private static final Map<String, String> DIGESTS = new HashMap<>();

  private BaseModels() {}

  /** A policy's model, not to be trained unless it is an adapter. The caller closes it. */
  public static LanguageModel languageModel(
      Backend backend, CheckpointCache checkpoints, CheckpointDirectory checkpoint)
      throws IOException {
    if (checkpoint.kind() != CheckpointKind.POLICY) {
      return ModelWeights.languageModel(backend, checkpoint); // refuses it by name
    }
    Weights weights =
        checkpoint.adapter().isPresent()
            ? adapter(backend, checkpoints, checkpoint, CheckpointKind.POLICY)
            : Weights.frozen(frozen(backend, checkpoint));
    return new LanguageModel(backend, checkpoint.config(), weights);
  }

  /** A reward model. The caller closes it. */
  public static ScalarModel rewardModel(
      Backend backend, CheckpointCache checkpoints, CheckpointDirectory checkpoint)
      throws IOException {
    return checkpoint.adapter().isPresent()
        ? new ScalarModel(
            backend,
            checkpoint.config(),
            adapter(backend, checkpoints, checkpoint, CheckpointKind.REWARD_MODEL))
        : ModelWeights.rewardModel(backend, checkpoint);
  }

  private static Weights adapter(
      Backend backend,
      CheckpointCache checkpoints,
      CheckpointDirectory adapter,
      CheckpointKind kind)
      throws IOException {
    String uri =
        adapter
            .base()
            .map(CheckpointManifest.Base::uri)
            .orElseGet(() -> adapter.adapter().orElseThrow().base());
    try (LocalCheckpoint files = checkpoints.open(uri);
        CheckpointDirectory base = CheckpointDirectory.open(files.directory())) {
      adapter.requireBase(base, digest(base));
      return ModelWeights.adapter(backend, adapter, kind, frozen(backend, base));
    } catch (IOException e) {
      throw new IOException(
          "the base of the adapter %s cannot be read: %s".formatted(adapter.path(), e.getMessage()),
          e);
    }
  }

  /** The weights of a checkpoint, loaded once in a process. The caller closes its use of them. */
  static FrozenWeights frozen(Backend backend, CheckpointDirectory checkpoint) throws IOException {
    Key key = new Key(backend.frozenGroup(), content(checkpoint));
    synchronized (LOADED) {
      LOADED.values().removeIf(FrozenWeights::isFreed);
      FrozenWeights known = LOADED.get(key);
      if (known != null) {
        try {
          return known.share();
        } catch (IllegalStateException e) {
          LOADED.remove(key); // freed by its last user just now
        }
      }
      FrozenWeights weights = ModelWeights.frozen(backend, checkpoint);
      LOADED.put(key, weights);
      return weights;
    }
  }

  /**
   * As {@link CheckpointDirectory#weightsDigest}, which may read all weights; here it does once.
   */
  private static String digest(CheckpointDirectory checkpoint) throws IOException {
    String content = content(checkpoint);
    synchronized (DIGESTS) {
      return DIGESTS.computeIfAbsent(content, _ -> checkpoint.weightsDigest());
    }
  }

  /**
   * A text that differs where the weights of two checkpoints differ, without reading them: the
   * digests of a manifest. Without a manifest it has the places, sizes and times of the files.
   */
  private static String content(CheckpointDirectory checkpoint) throws IOException {
    if (checkpoint.manifest().isPresent()) {
      return checkpoint.weightsDigest();
    }
    StringJoiner files = new StringJoiner("\n");
    for (Path file : checkpoint.tensors().files()) {
      files.add(file.toRealPath() + " " + Files.size(file) + " " + Files.getLastModifiedTime(file));
    }
    return files.toString();
  }

  /**
   * The base of adapters that are trained from a checkpoint: its own base if it is an adapter, or
   * else the checkpoint itself.
   *
   * @param location of the checkpoint: a path, which is made absolute, or a URI
   */
  static CheckpointManifest.Base base(String location, CheckpointDirectory checkpoint)
      throws IOException {
    return checkpoint.base().isPresent()
        ? checkpoint.base().get()
        : new CheckpointManifest.Base(location(location), digest(checkpoint));
  }

  /** A location as adapters name it: an absolute path, or a URI. */
  static String location(String location) {
    return CheckpointStore.isLocal(location)
        ? CheckpointStore.localPath(location).toAbsolutePath().toString()
        : location;
  }
}

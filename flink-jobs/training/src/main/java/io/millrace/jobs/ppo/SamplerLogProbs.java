package io.millrace.jobs.ppo;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.Rollout;
import java.io.IOException;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The policy versions that sampled the rollouts of other engines, to take the trainer's own
 * log-probs under them. One version beside the reference policy is in memory at a time.
 */
final class SamplerLogProbs implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(SamplerLogProbs.class);

  private final RuntimeSettings settings;
  private final Backend backend;
  private final PolicyModel reference;
  private final CheckpointStore store;

  // The version in memory, and the last one that the store did not have.
  private PolicyModel loaded;
  private long loadedVersion;
  private long missingVersion = -1;

  /**
   * @param reference π_0, the policy that the job started from; it stays open
   */
  SamplerLogProbs(RuntimeSettings settings, Backend backend, PolicyModel reference) {
    this.settings = settings;
    this.backend = backend;
    this.reference = reference;
    this.store = JobSettings.store(settings.config());
  }

  /** Whether a rollout is another engine's, whose log-probs are compared. */
  boolean measures(Rollout rollout) {
    MillraceConfig config = settings.config();
    return config.section(PpoSection.class).rolloutLogProbs() == RolloutLogProbs.RECOMPUTE
        && !ScoredRollout.isOwn(rollout, config.model().seed());
  }

  /**
   * The model of a version.
   *
   * @return empty if the store does not have it, or no longer
   */
  Optional<LanguageModel> version(long version) throws IOException {
    if (version == reference.version()) {
      return Optional.of(reference.model());
    }
    if (loaded != null && loadedVersion == version) {
      return Optional.of(loaded.model());
    }
    if (version == missingVersion) {
      return Optional.empty();
    }
    String name = settings.config().model().name();
    if (!store.versions(name).contains(version)) {
      missingVersion = version;
      LOG.warn(
          "{} does not have version {} of {}, or no longer: the log-probs in its rollouts are not"
              + " compared. checkpoints.keep {} is the number of versions that it keeps",
          store,
          version,
          name,
          settings.config().checkpoints().keep());
      return Optional.empty();
    }
    close();
    loaded = PolicyModel.load(backend, settings.checkpoints(), store.uri(name, version));
    loadedVersion = version;
    return Optional.of(loaded.model());
  }

  /** Frees the version in memory; the next call loads it again. */
  @Override
  public void close() {
    if (loaded != null) {
      loaded.close();
      loaded = null;
    }
  }
}

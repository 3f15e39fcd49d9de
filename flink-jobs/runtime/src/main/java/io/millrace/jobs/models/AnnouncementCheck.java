package io.millrace.jobs.models;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.connectors.checkpoint.store.UnusableCheckpointException;
import io.millrace.connectors.flink.decode.RecordCheck;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.Closing;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.TokenizerDifference;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointException;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.TokenizerException;
import io.millrace.model.tokenizer.TokenizerFiles;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.RewardCheckpoint;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * Sends announcements to the dead letters whose checkpoint a job could not load: one that is not
 * there, lies outside the configured roots, is not what was announced, or has another kind or
 * tokenizer than the policy, and one whose chat template is refused. The job goes on with the model
 * it has.
 */
public final class AnnouncementCheck<T extends SpecificRecordBase> implements RecordCheck<T> {

  private static final long serialVersionUID = 1;

  private final RuntimeSettings settings;
  private final boolean needsInitial;
  private boolean needsEnsemble;
  private transient int vocabSize;
  private transient String ownBase;
  private transient Tokenizer tokenizer;

  /** The last tokenizer that was found sound. */
  private transient TokenizerFiles known;

  private AnnouncementCheck(MillraceConfig config, boolean needsInitial) {
    this.settings = new RuntimeSettings(config);
    this.needsInitial = needsInitial;
  }

  /** Announcements of a policy; those of policies with another name pass, and are not looked at. */
  public static AnnouncementCheck<PolicyCheckpoint> policies(MillraceConfig config) {
    return new AnnouncementCheck<>(config, true);
  }

  /** Announcements of reward models for a policy that starts from {@code model.initial}. */
  public static AnnouncementCheck<RewardCheckpoint> rewardModels(MillraceConfig config) {
    return new AnnouncementCheck<>(config, true);
  }

  /** As {@link #rewardModels}, and refuses those with one head, apart from judges. */
  public static AnnouncementCheck<RewardCheckpoint> rewardModelEnsembles(MillraceConfig config) {
    AnnouncementCheck<RewardCheckpoint> check = new AnnouncementCheck<>(config, true);
    check.needsEnsemble = true;
    return check;
  }

  /**
   * Promotions of that policy, by the version to serve. If {@code model.initial} is empty, the
   * vocabulary, tokenizer and base are not compared with it.
   */
  public static AnnouncementCheck<Promotion> promotions(MillraceConfig config) {
    return new AnnouncementCheck<>(config, !config.model().initial().isBlank());
  }

  @Override
  public void open() throws IOException {
    if (!needsInitial) {
      return;
    }
    try (LocalCheckpoint initial = settings.describeInitial()) {
      CheckpointOutline outline = CheckpointOutline.read(initial.directory());
      vocabSize = outline.config().vocabSize();
      ownBase =
          outline
              .base()
              .map(CheckpointManifest.Base::uri)
              .orElseGet(() -> BaseModels.location(settings.config().model().initial()));
      known = TokenizerFiles.read(initial.directory());
      tokenizer = new Tokenizer(known);
    }
  }

  @Override
  public void check(T announcement) {
    switch (announcement) {
      case PolicyCheckpoint policy ->
          checkPolicy(
              policy.getModel(), policy.getVersion(), policy.getUri(), policy.getManifestSha256());
      case Promotion promotion -> {
        if (promotion.getVersion() != 0) {
          checkPolicy(
              promotion.getModel(),
              promotion.getVersion(),
              promotion.getUri(),
              promotion.getManifestSha256());
        }
      }
      case RewardCheckpoint reward ->
          check(
              reward.getUri(),
              reward.getManifestSha256(),
              CheckpointKind.REWARD_MODEL,
              reward.getVersion(),
              rewardModelName(reward.getObjective(), reward.getJudge()),
              otherNames(reward),
              needsEnsemble && !reward.getJudge());
      default ->
          throw new IllegalArgumentException(
              announcement.getSchema().getName() + " does not announce a checkpoint");
    }
  }

  private void checkPolicy(String model, long version, String uri, String manifestSha256) {
    if (model.equals(settings.config().model().name())) {
      check(uri, manifestSha256, CheckpointKind.POLICY, version, model, List.of(), false);
    }
  }

  /** The name of an objective's reward model, as the job reward-model publishes it. */
  public static String rewardModelName(Objective objective) {
    return rewardModelName(objective, false);
  }

  /**
   * The name of a reward model, as the job reward-model publishes it.
   *
   * @param judge whether it judges policy versions and PPO does not optimise it
   */
  public static String rewardModelName(Objective objective, boolean judge) {
    return "reward-model-" + rewardModelRole(objective, judge);
  }

  /** As in {@link #rewardModelName(Objective, boolean)}, without its beginning. */
  public static String rewardModelRole(Objective objective, boolean judge) {
    return objective.name().toLowerCase(Locale.ROOT) + (judge ? "-judge" : "");
  }

  /** Names that the job reward-model gives to other reward models than the announced one. */
  private static List<String> otherNames(RewardCheckpoint announced) {
    return Arrays.stream(Objective.values())
        .flatMap(
            objective -> Stream.of(false, true).map(judge -> rewardModelName(objective, judge)))
        .filter(
            name -> !name.equals(rewardModelName(announced.getObjective(), announced.getJudge())))
        .toList();
  }

  /**
   * @param name that the announcement gives the model
   * @param others names that contradict the announcement; empty: every other name does. A reward
   *     model of another trainer may have a name of its own
   * @param ensemble whether a model with one head is refused
   */
  private void check(
      String uri,
      String manifestSha256,
      CheckpointKind kind,
      long version,
      String name,
      List<String> others,
      boolean ensemble) {
    if (!settings.config().checkpoints().contains(uri)) {
      throw new RefusedRecordException(
          "outside-root",
          "%s lies outside checkpoints.directory %s; add its root to checkpoints.other-roots"
              .formatted(uri, settings.config().checkpoints().directory()));
    }
    if (CheckpointStore.isRetired(uri)) {
      // Nothing is wrong with it; who would load it waits for the one that took its place.
      return;
    }
    try (LocalCheckpoint announced = settings.checkpoints().openDescription(uri, manifestSha256)) {
      if (CheckpointStore.isLocal(uri)) {
        // Of weights that lie elsewhere it is known that they are there; they are not fetched to
        // look at them, since many an announcement is out of date when it is read.
        CheckpointDirectory.open(announced.directory()).close();
      }
      CheckpointOutline checkpoint = CheckpointOutline.read(announced.directory());
      if (checkpoint.kind() != kind) {
        throw refused(uri + " is a " + checkpoint.kind() + ", where a " + kind + " is needed");
      }
      requireAgreement(uri, checkpoint, version, name, others);
      if (ensemble && checkpoint.config().scoreHeads() == 1) {
        throw new RefusedRecordException(
            "one-head",
            "%s has one scalar head, and ppo.reward lcb needs several: train it with reward-model.heads of at least 2, or set ppo.reward to mean"
                .formatted(uri));
      }
      if (needsInitial) {
        requireVocabulary(uri, checkpoint);
        requireBase(uri, checkpoint);
        requireSameTokenizer(uri, kind, TokenizerFiles.read(announced.directory()));
      }
    } catch (UnusableCheckpointException
        | CheckpointException
        | TokenizerException
        | IllegalArgumentException e) {
      throw refused(e.getMessage());
    } catch (IOException e) {
      if (CheckpointStore.isLocal(uri)) {
        throw refused(e.getMessage());
      }
      // The store does not answer: nothing is wrong with the announcement, and the job tries again.
      throw new UncheckedIOException(e);
    }
  }

  private void requireVocabulary(String uri, CheckpointOutline checkpoint) {
    if (checkpoint.config().vocabSize() != vocabSize) {
      throw refused(
          "%s has a vocabulary of %d, model.initial %s one of %d; is model.initial right?"
              .formatted(
                  uri,
                  checkpoint.config().vocabSize(),
                  settings.config().model().initial(),
                  vocabSize));
    }
  }

  /**
   * A job also loads the base of an announced adapter. The base must be the one that this job
   * starts from, or lie under a configured root.
   */
  private void requireBase(String uri, CheckpointOutline checkpoint) {
    checkpoint
        .base()
        .map(CheckpointManifest.Base::uri)
        .filter(base -> !base.equals(ownBase) && !settings.config().checkpoints().contains(base))
        .ifPresent(
            base -> {
              throw new RefusedRecordException(
                  "outside-root",
                  "the base %s of %s is not %s, which model.initial starts from, and lies outside checkpoints.directory %s; add its root to checkpoints.other-roots"
                      .formatted(base, uri, ownBase, settings.config().checkpoints().directory()));
            });
  }

  private static void requireAgreement(
      String uri, CheckpointOutline checkpoint, long version, String name, List<String> others) {
    CheckpointManifest manifest =
        checkpoint.manifest().orElseThrow(() -> refused(uri + " has no millrace.json"));
    boolean contradicts =
        others.isEmpty() ? !manifest.name().equals(name) : others.contains(manifest.name());
    if (contradicts) {
      throw refused(
          "announced as %s, but the manifest of %s names %s".formatted(name, uri, manifest.name()));
    }
    if (manifest.version() != version) {
      throw refused(
          "announced as version %d, but the manifest of %s says %d"
              .formatted(version, uri, manifest.version()));
    }
  }

  /** Loads a tokenizer, and a policy's chat template, where their files are new. */
  private void requireSameTokenizer(String uri, CheckpointKind kind, TokenizerFiles files) {
    if (files.sameAs(known)) {
      return;
    }
    try (Tokenizer other = new Tokenizer(files)) {
      TokenizerDifference.between(tokenizer, other)
          .ifPresent(
              difference -> {
                throw refused(
                    "%s has another tokenizer than model.initial %s: %s; is model.initial right?"
                        .formatted(uri, settings.config().model().initial(), difference));
              });
      if (kind == CheckpointKind.POLICY) {
        ChatTemplate.of(other);
        known = files;
      }
    }
  }

  @Override
  public void close() {
    Closing.closeAll(tokenizer);
  }

  private static RefusedRecordException refused(String message) {
    return new RefusedRecordException("unusable-checkpoint", message);
  }
}

package io.millrace.jobs.evaluation;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.VerifyReport;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Validation;
import io.millrace.schemas.Verdict;
import java.io.IOException;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Consumer;

/**
 * A person's decision which version of a policy to serve. It goes to the topic promotions, which
 * serving processes and the job evaluation follow.
 */
public final class PromotionDecision {

  private final Promotion record;
  private final KafkaSettings kafka;

  private PromotionDecision(Promotion record, KafkaSettings kafka) {
    this.record = record;
    this.kafka = kafka;
  }

  /**
   * Decides to serve a published version, whatever the gate's verdict on it is. All files of the
   * version are verified first.
   *
   * @param by the person
   * @param notice gets one sentence if earlier promotions do not count
   * @throws IllegalArgumentException if the version is served already, or is no sound policy
   */
  public static PromotionDecision promote(
      MillraceConfig config, long version, String by, String reason, Consumer<String> notice)
      throws IOException {
    KafkaSettings kafka = JobSettings.kafka(config);
    PromotionChain chain = PromotionChain.of(config, notice);
    requireOther(chain, version, config);
    return new PromotionDecision(
        record(config, chain, Verdict.PROMOTE, verified(config, version), by, reason), kafka);
  }

  /**
   * Decides to return to an earlier version.
   *
   * @param to the version; empty: the one that was served before
   * @param by the person
   * @param notice gets one sentence if earlier promotions do not count
   * @throws IllegalArgumentException if there is no such version, or it is no sound policy
   */
  public static PromotionDecision rollBack(
      MillraceConfig config, Optional<Long> to, String by, String reason, Consumer<String> notice)
      throws IOException {
    KafkaSettings kafka = JobSettings.kafka(config);
    String model = config.model().name();
    PromotionChain chain = PromotionChain.of(config, notice);
    ModelRef served =
        chain
            .current()
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "no version of %s was promoted, so there is nothing to roll back"
                            .formatted(model)));
    long version =
        to.orElseGet(
            () ->
                chain
                    .lastBefore()
                    .or(() -> chain.before().map(ModelRef::version))
                    .orElseThrow(
                        () ->
                            new IllegalArgumentException(
                                "version %d of %s is served, and none is known that was served before; name one with --to"
                                    .formatted(served.version(), model))));
    requireOther(chain, version, config);
    return new PromotionDecision(
        record(config, chain, Verdict.ROLL_BACK, verified(config, version), by, reason), kafka);
  }

  private static void requireOther(PromotionChain chain, long version, MillraceConfig config) {
    if (chain.isServed(version)) {
      throw new IllegalArgumentException(
          "version %d of %s is served already".formatted(version, config.model().name()));
    }
  }

  private static Promotion record(
      MillraceConfig config,
      PromotionChain chain,
      Verdict verdict,
      ModelRef version,
      String by,
      String reason) {
    long served = chain.current().map(ModelRef::version).orElse(0L);
    PromotionChain after = PromotionChain.of(chain.state());
    Promotion decision =
        Promotion.newBuilder()
            .setModel(config.model().name())
            .setVersion(version.version())
            .setVerdict(verdict)
            .setEvaluated(verdict == Verdict.PROMOTE ? version.version() : served)
            .setUri(version.uri())
            .setManifestSha256(version.manifestSha256())
            .setReasons(List.of(reason))
            .setDecisionId(UUID.randomUUID().toString())
            .setDecidedBy(by)
            .setTime(Instant.now())
            .build();
    after.decide(decision);
    decision.setBefore(after.before().map(ModelRef::version).orElse(0L));
    decision.setBest(after.best().map(ModelRef::version).orElse(0L));
    decision.setMetrics(chain.counters().byName());
    return Validation.require(decision);
  }

  /** The version in the store, after all its files were checked. */
  private static ModelRef verified(MillraceConfig config, long version) throws IOException {
    String model = config.model().name();
    CheckpointStore store = JobSettings.store(config);
    String uri = store.uri(model, version);
    if (!store.versions(model).contains(version)) {
      throw new IllegalArgumentException(
          "%s has no version %d of %s; it has %s (checkpoints.directory and model.name say where to look)"
              .formatted(
                  config.checkpoints().directory(),
                  version,
                  model,
                  summary(store.versions(model))));
    }
    try (LocalCheckpoint files = JobSettings.cache(config).open(uri)) {
      VerifyReport report = CheckpointDirectory.verify(files.directory());
      if (!report.problems().isEmpty()) {
        throw new IllegalArgumentException(
            "%s is damaged: %s".formatted(uri, String.join("; ", report.problems())));
      }
      try (CheckpointDirectory directory = CheckpointDirectory.open(files.directory())) {
        CheckpointManifest manifest =
            directory
                .manifest()
                .orElseThrow(() -> new IllegalArgumentException(uri + " has no millrace.json"));
        if (directory.kind() != CheckpointKind.POLICY
            || !manifest.name().equals(model)
            || manifest.version() != version) {
          throw new IllegalArgumentException(
              "%s is version %d of %s, a %s; it should be version %d of the policy %s"
                  .formatted(
                      uri, manifest.version(), manifest.name(), directory.kind(), version, model));
        }
      }
      return new ModelRef(version, uri, CheckpointDirectory.manifestDigest(files.directory()));
    }
  }

  private static String summary(List<Long> versions) {
    return versions.isEmpty()
        ? "none"
        : "%d, from %d to %d".formatted(versions.size(), versions.getFirst(), versions.getLast());
  }

  /** The record as it is sent. */
  public Promotion record() {
    return record;
  }

  /** Sends the decision, and returns when Kafka has stored it. */
  public void send() throws IOException {
    try (RecordWriter writer = new RecordWriter(kafka)) {
      writer.send(Topic.PROMOTIONS, record);
    }
  }
}

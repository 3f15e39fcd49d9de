package io.millrace.connectors.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.Retention;
import io.millrace.connectors.checkpoint.store.Retirement;
import io.millrace.connectors.checkpoint.store.StagedFiles;
import io.millrace.connectors.checkpoint.store.StoreUnderTest;
import io.millrace.connectors.checkpoint.store.TestCheckpoint;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.function.Function;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class LatestAnnouncementsTest {
  @TempDir Path temporary;

  private CheckpointStore store;
  private final LatestAnnouncements<Objective, RewardCheckpoint> rewardModels =
      new LatestAnnouncements<>(RewardCheckpoint::getUri);

  @BeforeEach
  void open() {
    open(StoreUnderTest.LOCAL);
  }

  private void open(StoreUnderTest kind) {
    store = new CheckpointStore(kind.root(temporary), temporary.resolve("scratch").toString());
  }

  private RewardCheckpoint publish(Objective objective, long version) throws IOException {
    StagedFiles files =
        store.stage(
            objective.name(),
            version,
            directory -> TestCheckpoint.write(directory, objective + " " + version));
    store.commit(files);
    return announcement(objective, version);
  }

  private RewardCheckpoint announcement(Objective objective, long version) {
    return RewardCheckpoint.newBuilder()
        .setObjective(objective)
        .setVersion(version)
        .setUri(store.uri(objective.name(), version))
        .setManifestSha256("0".repeat(64))
        .setJudgments(0)
        .build();
  }

  private boolean offer(RewardCheckpoint announcement) {
    return rewardModels.offer(announcement.getObjective(), announcement);
  }

  private void keepNewest(Objective objective, int count) {
    new Retirement(store, new Retention(count, 0, Duration.ZERO, List.of()), Clock.systemUTC())
        .retire(objective.name(), Long.MAX_VALUE);
  }

  private long version(Objective objective) {
    return rewardModels.latest(objective).map(RewardCheckpoint::getVersion).orElse(0L);
  }

  @ParameterizedTest
  @EnumSource
  void anEarlierVersionDoesNotReplaceALaterOne(StoreUnderTest kind) throws IOException {
    open(kind);
    RewardCheckpoint one = publish(Objective.SAFETY, 1);
    RewardCheckpoint two = publish(Objective.SAFETY, 2);
    RewardCheckpoint three = publish(Objective.SAFETY, 3);
    assertTrue(offer(two));
    assertFalse(offer(one));
    assertEquals(2, version(Objective.SAFETY));
    assertTrue(offer(two), "the same version again");
    assertTrue(offer(three));
    assertEquals(3, version(Objective.SAFETY));
  }

  @Test
  void eachKeyHasItsOwnLatest() throws IOException {
    offer(publish(Objective.SAFETY, 5));
    offer(publish(Objective.HELPFULNESS, 2));
    assertEquals(5, version(Objective.SAFETY));
    assertEquals(2, version(Objective.HELPFULNESS));
    assertEquals(
        List.of(Objective.HELPFULNESS, Objective.SAFETY),
        List.copyOf(rewardModels.snapshot().keySet()));
  }

  @ParameterizedTest
  @EnumSource
  void aRetiredVersionIsIgnored(StoreUnderTest kind) throws IOException {
    open(kind);
    RewardCheckpoint two = null;
    for (long version = 1; version <= 4; version++) {
      RewardCheckpoint published = publish(Objective.SAFETY, version);
      two = version == 2 ? published : two;
    }
    keepNewest(Objective.SAFETY, 1);
    assertFalse(offer(two));
    assertEquals(Optional.empty(), rewardModels.latest(Objective.SAFETY));
    assertTrue(offer(announcement(Objective.SAFETY, 4)));
  }

  @Test
  void aVersionThatIsRetiredLaterIsTheLatestButNotAvailable() throws IOException {
    publish(Objective.SAFETY, 1);
    RewardCheckpoint two = publish(Objective.SAFETY, 2);
    assertTrue(offer(two));
    assertEquals(Optional.of(two), rewardModels.available(Objective.SAFETY));
    publish(Objective.SAFETY, 3);
    keepNewest(Objective.SAFETY, 1);
    assertEquals(Optional.of(two), rewardModels.latest(Objective.SAFETY));
    assertEquals(Optional.empty(), rewardModels.available(Objective.SAFETY));
  }

  @Test
  void aRestoredVersionOutranksEarlierOnesEvenWhenItIsRetired() throws IOException {
    RewardCheckpoint one = publish(Objective.SAFETY, 1);
    RewardCheckpoint three = announcement(Objective.SAFETY, 3);
    RewardCheckpoint four = publish(Objective.SAFETY, 4);
    assertTrue(CheckpointStore.isRetired(three.getUri()));
    rewardModels.restore(Objective.SAFETY, three);
    assertFalse(offer(one));
    assertEquals(3, version(Objective.SAFETY));
    assertTrue(offer(four));
  }

  @Test
  void aSnapshotNeverChanges() throws IOException {
    offer(publish(Objective.SAFETY, 1));
    NavigableMap<Objective, RewardCheckpoint> before = rewardModels.snapshot();
    offer(publish(Objective.SAFETY, 2));
    offer(publish(Objective.HELPFULNESS, 1));
    assertEquals(Map.of(Objective.SAFETY, announcement(Objective.SAFETY, 1)), before);
    assertThrows(UnsupportedOperationException.class, before::clear);
  }

  @Test
  void versionsOfDifferentStoresHaveNoOrder() throws IOException {
    offer(publish(Objective.SAFETY, 9));
    store = new CheckpointStore(temporary.resolve("another").toString());
    assertTrue(offer(publish(Objective.SAFETY, 1)));
    assertEquals(1, version(Objective.SAFETY));
  }

  @Test
  void aBareUriIsAnAnnouncementToo() {
    LatestAnnouncements<String, String> uris = new LatestAnnouncements<>(Function.identity());
    uris.restore("sampler", "/models/initial");
    assertTrue(uris.offer("sampler", store.uri("policy", 2)), "the initial model is no version");
    assertFalse(uris.offer("sampler", store.uri("policy", 1)));
    assertEquals(Optional.of(store.uri("policy", 2)), uris.latest("sampler"));
  }
}

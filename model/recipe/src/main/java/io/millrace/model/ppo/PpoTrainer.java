package io.millrace.model.ppo;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.parallel.Ranks;
import io.millrace.model.parallel.Shares;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.DivergedException;
import io.millrace.model.training.MicroBatches;
import io.millrace.model.training.Optimizer;
import io.millrace.model.training.RandomStream;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.apache.avro.reflect.Nullable;

/**
 * PPO on batches of scored rollouts, top to bottom: old values, {@linkplain BatchRewards rewards
 * and advantages}, clipped updates of policy and critic. A {@linkplain AdvantageMethod method}
 * without a critic leaves out all that is the critic's.
 *
 * <p>A batch takes {@linkplain #step steps} of at most one mini-batch each. The trainer's state can
 * be {@linkplain #write written} between any two steps; a trainer that reads it continues bit for
 * bit.
 *
 * <p>Several {@linkplain Ranks ranks} can learn together. Each has a trainer in the same state,
 * which begins the same batches and takes the same steps. Rewards and advantages are of the whole
 * batch. Each rank passes its share of a mini-batch, whole rollouts, through the models; gradients
 * and the sums of losses and metrics are then added up.
 */
public final class PpoTrainer implements AutoCloseable {

  private final Backend backend;
  private final LanguageModel policy;

  /** Null without a critic, as is its optimizer. */
  private final ScalarModel critic;

  private final Optimizer policyOptimizer;
  private final Optimizer criticOptimizer;
  private final PpoSettings settings;
  private final KlController klController;
  private final Ranks ranks;
  private long iteration;
  private int skippedInARow;

  /** The batch that is being learned from; null between batches. */
  private PpoBatch batch;

  /**
   * A trainer that closes its models with itself.
   *
   * @param critic null for a method without a critic
   * @throws IllegalArgumentException if the method needs a critic and there is none, or the other
   *     way round
   */
  public PpoTrainer(
      Backend backend,
      LanguageModel policy,
      ScalarModel critic,
      PpoSettings settings,
      KlController klController) {
    this(backend, policy, critic, settings, klController, Ranks.alone(), false);
  }

  /**
   * The trainer of one rank. It does not close the ranks.
   *
   * @param critic null for a method without a critic
   * @param sharded whether each rank has the optimizer's moments of a part of the weights
   * @throws IllegalArgumentException if the method needs a critic and there is none, or the other
   *     way round
   */
  public PpoTrainer(
      Backend backend,
      LanguageModel policy,
      ScalarModel critic,
      PpoSettings settings,
      KlController klController,
      Ranks ranks,
      boolean sharded) {
    if ((critic != null) != settings.advantages().method().hasCritic()) {
      throw new IllegalArgumentException(
          settings.advantages().method()
              + (critic == null ? " needs a critic" : " has no critic: pass none"));
    }
    this.backend = backend;
    this.policy = policy;
    this.critic = critic;
    this.ranks = ranks;
    this.policyOptimizer =
        new Optimizer(
            backend, policy.weights(), settings.adamW(), settings.learningRate(), ranks, sharded);
    this.criticOptimizer =
        critic == null
            ? null
            : new Optimizer(
                backend,
                critic.weights(),
                settings.adamW(),
                settings.criticLearningRate(),
                ranks,
                sharded);
    this.settings = settings;
    this.klController = klController;
  }

  /** One whole iteration: all updates on one batch. */
  public PpoIteration iterate(List<PpoRollout> rollouts) {
    begin(rollouts);
    while (true) {
      Optional<PpoIteration> done = step();
      if (done.isPresent()) {
        return done.get();
      }
    }
  }

  /** Whether a batch is being learned from. */
  public boolean busy() {
    return batch != null;
  }

  /** Rollouts of the batch that still have an update to come. */
  public int pending() {
    if (batch == null) {
      return 0;
    }
    int lastEpoch = batch.updates - (settings.epochs() - 1) * updatesPerEpoch();
    return Math.max(0, batch.size() - Math.max(0, lastEpoch) * settings.miniBatchSize());
  }

  /** Begins a batch; {@link #step} learns from it. */
  public void begin(List<PpoRollout> rollouts) {
    if (batch != null) {
      throw new IllegalStateException("the last batch is not done yet");
    }
    batch = new PpoBatch(rollouts);
  }

  /**
   * The next step of the batch: the old values of a mini-batch, or one update.
   *
   * @return the iteration, once the batch is done
   * @throws DivergedException after too many updates in a row that were not finite
   */
  public Optional<PpoIteration> step() {
    if (batch.valued < batch.size()) {
      value();
      if (batch.valued == batch.size()) {
        new BatchRewards(batch, settings).compute(klController.beta());
      }
      return Optional.empty();
    }
    update();
    if (batch.updates < updatesOfBatch()) {
      return Optional.empty();
    }
    iteration++;
    requireSameWeights();
    PpoIteration done = batch.metrics.build(iteration, batch.rollouts);
    // While only the critic learns, the policy's KL says nothing about β.
    if (iteration > settings.criticWarmup()) {
      klController.update(Arrays.stream(done.kl()).average().orElseThrow(), batch.size());
    }
    batch = null;
    return Optional.of(done);
  }

  private int updatesOfBatch() {
    return settings.epochs() * updatesPerEpoch();
  }

  private int updatesPerEpoch() {
    return Math.ceilDiv(batch.size(), settings.miniBatchSize());
  }

  /** Ranks whose weights drifted apart would go on with decisions of their own. */
  private void requireSameWeights() {
    if (ranks.isAlone()) {
      return;
    }
    ranks.requireSame(
        "the policy's weights after iteration " + iteration, policy.weights().checksum());
    if (critic != null) {
      ranks.requireSame(
          "the critic's weights after iteration " + iteration, critic.weights().checksum());
    }
  }

  /** Values and proximal log-probs of the next mini-batch of rollouts, before any update. */
  private void value() {
    int begin = batch.valued;
    int to = Math.min(batch.size(), begin + settings.miniBatchSize());
    int[] shares = shares(range(begin, to));
    int own = begin + shares[ranks.rank()];
    int[] share = range(own, begin + shares[ranks.rank() + 1]);
    for (MicroBatches.Part part :
        batch.microBatches(share, critic == null ? policy.partTokens() : critic.partTokens())) {
      int from = own + part.from();
      int[] members = range(from, own + part.to());
      if (critic != null) {
        float[] values = critic.infer(batch.sequences(members), batch.targets(members).rows());
        System.arraycopy(values, 0, batch.oldValues, batch.offsets[from], values.length);
      }
      proximal(members);
    }
    if (!ranks.isAlone()) {
      int[] tokens = Arrays.stream(shares).map(bound -> batch.offsets[begin + bound]).toArray();
      ranks.gather(batch.proximalLogProbs, tokens);
      if (critic != null) {
        ranks.gather(batch.oldValues, tokens);
      }
    }
    weigh(begin, to);
    batch.valued = to;
  }

  /** Where each rank's share of some rollouts begins, and where the last one ends. */
  private int[] shares(int[] members) {
    return Shares.ofItems(
        batch.sequences(members).stream().mapToInt(tokens -> tokens.length).toArray(),
        ranks.size());
  }

  private boolean isReweighted(int rollout) {
    return settings.importanceWeight() != null && batch.rollouts.get(rollout).offPolicy();
  }

  /**
   * Decoupled PPO (Hilton et al., arXiv 2110.00641): where another policy sampled a rollout, the
   * clip is around today's policy, and importance weights make up for the difference.
   */
  private void proximal(int[] members) {
    for (int i : members) {
      float[] logProbs = batch.rollouts.get(i).logProbs();
      System.arraycopy(logProbs, 0, batch.proximalLogProbs, batch.offsets[i], logProbs.length);
    }
    int[] offPolicy = Arrays.stream(members).filter(this::isReweighted).toArray();
    if (offPolicy.length == 0) {
      return;
    }
    float[] today =
        policy
            .infer(batch.sequences(offPolicy), batch.targets(offPolicy), settings.temperature())
            .logProbs();
    int at = 0;
    for (int i : offPolicy) {
      int length = batch.offsets[i + 1] - batch.offsets[i];
      System.arraycopy(today, at, batch.proximalLogProbs, batch.offsets[i], length);
      at += length;
    }
  }

  /** The importance weights of the rollouts [from, to), whose proximal log-probs are known. */
  private void weigh(int from, int to) {
    for (int i = from; i < to; i++) {
      int offset = batch.offsets[i];
      if (!isReweighted(i)) {
        Arrays.fill(batch.weights, offset, batch.offsets[i + 1], 1);
        continue;
      }
      batch.metrics.recomputed(1);
      float[] behaviour = batch.rollouts.get(i).logProbs();
      for (int t = 0; t < behaviour.length; t++) {
        float today = batch.proximalLogProbs[offset + t];
        double weight = settings.importanceWeight().of(today, behaviour[t]);
        batch.weights[offset + t] = (float) weight;
        batch.metrics.offPolicy(ImportanceWeight.ratio(today, behaviour[t]), weight);
      }
    }
  }

  /** The update on the next mini-batch. */
  private void update() {
    int epoch = batch.updates / updatesPerEpoch();
    int from = batch.updates % updatesPerEpoch() * settings.miniBatchSize();
    int to = Math.min(batch.size(), from + settings.miniBatchSize());
    int[] members = Arrays.copyOfRange(shuffled(batch.size(), epoch), from, to);
    int[] shares = shares(members);
    int[] share = Arrays.copyOfRange(members, shares[ranks.rank()], shares[ranks.rank() + 1]);
    Optional<CriticPass> criticPass =
        Optional.ofNullable(critic)
            .map(model -> new CriticPass(model, criticOptimizer, settings, batch, members, share));
    if (iteration < settings.criticWarmup()) {
      criticPass.orElseThrow().run();
      criticPass.orElseThrow().reduce(ranks);
      batch.updates++;
      finishCritic(criticPass.orElseThrow());
      return;
    }
    PolicyPass policyPass =
        new PolicyPass(
            policy, policyOptimizer, settings, batch, members, share, klController.beta());
    sideBySide(policyPass, criticPass);
    policyPass.reduce(ranks);
    criticPass.ifPresent(pass -> pass.reduce(ranks));
    if (!policyPass.finite || !criticPass.map(pass -> pass.finite).orElse(true)) {
      batch.updates++;
      policyOptimizer.skip(policyPass.norm);
      criticPass.ifPresent(pass -> criticOptimizer.skip(pass.norm));
      countSkipped();
    } else if (policyPass.loss.approximateKl() > settings.maxUpdateKl()) {
      policyOptimizer.skip(policyPass.norm);
      criticPass.ifPresent(pass -> criticOptimizer.skip(pass.norm));
      batch.metrics.stopped(updatesOfBatch() - batch.updates);
      batch.updates = updatesOfBatch();
    } else {
      batch.updates++;
      sideBySide(
          () -> policyPass.update = policyOptimizer.apply(policyPass.norm),
          criticPass.map(pass -> () -> pass.update = criticOptimizer.apply(pass.norm)));
      policyOptimizer.gatherWeights();
      if (critic != null) {
        criticOptimizer.gatherWeights();
      }
      batch.metrics.policy(
          policyPass.loss, policyPass.klLoss, policyPass.entropy, policyPass.update);
      criticPass.ifPresent(pass -> batch.metrics.critic(pass.loss, pass.update));
      skippedInARow = 0;
    }
  }

  /** Runs what is the policy's, and beside it what is the critic's. */
  private void sideBySide(Runnable ofPolicy, Optional<? extends Runnable> ofCritic) {
    if (ofCritic.isPresent()) {
      backend.sideBySide(ofPolicy, ofCritic.get());
    } else {
      ofPolicy.run();
    }
  }

  /** An update of the critic alone. */
  private void finishCritic(CriticPass pass) {
    if (!pass.finite) {
      criticOptimizer.skip(pass.norm);
      countSkipped();
      return;
    }
    batch.metrics.critic(pass.loss, criticOptimizer.apply(pass.norm));
    criticOptimizer.gatherWeights();
    skippedInARow = 0;
  }

  private void countSkipped() {
    batch.metrics.skipped();
    if (++skippedInARow >= settings.maxSkippedUpdates()) {
      throw new DivergedException(
          skippedInARow, "rollouts", batch.rollouts.stream().map(PpoRollout::id).toList());
    }
  }

  static boolean areFinite(float[] values) {
    for (float value : values) {
      if (!Float.isFinite(value)) {
        return false;
      }
    }
    return true;
  }

  private static int[] range(int from, int to) {
    int[] range = new int[to - from];
    Arrays.setAll(range, i -> from + i);
    return range;
  }

  /**
   * The order of rollouts, from the seed, the iteration and the pass: a resumed run's is the same.
   */
  private int[] shuffled(int size, int epoch) {
    SplittableRandom random =
        RandomStream.of(settings.seed(), iteration * Math.max(31, settings.epochs()) + epoch);
    int[] order = new int[size];
    for (int i = 0; i < size; i++) {
      int j = random.nextInt(i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    return order;
  }

  public LanguageModel policy() {
    return policy;
  }

  public boolean hasCritic() {
    return critic != null;
  }

  /**
   * The critic.
   *
   * @throws IllegalStateException if there is none
   */
  public ScalarModel critic() {
    if (critic == null) {
      throw new IllegalStateException(settings.advantages().method() + " has no critic");
    }
    return critic;
  }

  /** Iterations so far. */
  public long iteration() {
    return iteration;
  }

  /** Updates of the policy so far. */
  public long steps() {
    return policyOptimizer.step();
  }

  /**
   * The trainer's state beside its weights and moments.
   *
   * @param batch null between batches
   */
  private record State(
      long iteration, int skippedInARow, KlController.State kl, @Nullable PpoBatch.State batch) {}

  /**
   * Writes the whole state: the same bytes with any number of ranks. May be called between any two
   * steps. If the moments are sharded, rank 0 calls this and the others {@link #sendMoments}.
   */
  public void write(StateWriter out) throws IOException {
    out.write(
        new State(
            iteration, skippedInARow, klController.state(), batch == null ? null : batch.state()));
    policyOptimizer.write(out);
    if (critic != null) {
      criticOptimizer.write(out);
    }
  }

  /** What a rank above 0 does while rank 0 {@linkplain #write writes} the state. */
  public void sendMoments() throws IOException {
    policyOptimizer.sendMoments();
    if (critic != null) {
      criticOptimizer.sendMoments();
    }
  }

  /** Restores what {@link #write} wrote, bit for bit. */
  public void read(StateReader in) throws IOException {
    State state = in.read(State.class);
    iteration = state.iteration();
    skippedInARow = state.skippedInARow();
    klController.restore(state.kl());
    batch = state.batch() == null ? null : PpoBatch.of(state.batch());
    policyOptimizer.read(in);
    if (critic != null) {
      criticOptimizer.read(in);
    }
  }

  @Override
  public void close() {
    policyOptimizer.close();
    policy.close();
    if (critic != null) {
      criticOptimizer.close();
      critic.close();
    }
  }
}

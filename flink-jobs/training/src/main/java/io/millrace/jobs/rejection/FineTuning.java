package io.millrace.jobs.rejection;

import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.PolicyModel;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.runtime.Closing;
import io.millrace.model.rejection.RejectionBag.Entry;
import io.millrace.model.supervised.Concatenation;
import io.millrace.model.supervised.SequencePacker;
import io.millrace.model.supervised.SupervisedPasses;
import io.millrace.model.supervised.SupervisedTrainer;
import io.millrace.model.supervised.SupervisedTrainer.Example;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.DivergenceGuard;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;

/**
 * A policy that learns from the top of the bag, one update after another. Its optimiser is new:
 * moments of the version before are of other weights, at the end of another schedule.
 */
final class FineTuning implements AutoCloseable {

  private final PolicyModel policy;
  private final SupervisedTrainer trainer;
  private final SupervisedPasses passes;
  private final DivergenceGuard guard = new DivergenceGuard("prompts");

  /** By the example object: equal examples may be of different prompts. */
  private final IdentityHashMap<Example, String> promptIds = new IdentityHashMap<>();

  private final List<String> learnedPrompts = new ArrayList<>();
  private final int examples;
  private final int tooLong;
  private long done;
  private double loss = Double.NaN;

  /** An update, and how many examples it learned from. */
  record Update(SupervisedTrainer.Step step, int examples) {}

  /**
   * @param uri of the policy to start from
   * @param selected what is learned from; those that are longer than a training sequence are left
   *     out and counted
   * @param version that is to be published
   */
  FineTuning(
      RuntimeSettings settings, Backend backend, String uri, List<Entry> selected, long version)
      throws IOException {
    MillraceConfig config = settings.config();
    RejectionSamplingSection section = config.section(RejectionSamplingSection.class);
    policy = settings.policyToTrain(backend, uri);
    policy.model().useMemory(settings.memory());
    int sequenceLength = Math.min(section.sequenceLength(), policy.model().config().maxPositions());
    List<Example> fitting = new ArrayList<>();
    for (Entry entry : selected) {
      Example example = entry.example();
      if (example.tokens().length <= sequenceLength) {
        fitting.add(example);
        promptIds.put(example, entry.promptId());
        learnedPrompts.add(entry.promptId());
      }
    }
    examples = fitting.size();
    tooLong = selected.size() - examples;
    passes =
        new SupervisedPasses(
            fitting,
            section.epochs(),
            config.model().seed() + (version << Integer.SIZE),
            () ->
                new SequencePacker(
                    sequenceLength,
                    section.batchSize(),
                    Concatenation.PACKED,
                    policy.tokenizer().optionalSeparator()));
    trainer =
        new SupervisedTrainer(
            backend,
            policy.model(),
            section.optimizer().adamW(),
            section.schedule(Math.max(1, passes.batches())));
  }

  PolicyModel policy() {
    return policy;
  }

  /** Responses that are learned from, once each pass. */
  int examples() {
    return examples;
  }

  /** The prompts whose responses are learned from, in the order of the selection. */
  List<String> learnedPrompts() {
    return learnedPrompts;
  }

  int tooLong() {
    return tooLong;
  }

  /** Updates so far. */
  long updates() {
    return done;
  }

  /** The loss of the last update; NaN before the first. */
  double loss() {
    return loss;
  }

  /** The next update, or none after the last. */
  Optional<Update> step() {
    Optional<SequencePacker.Batch> batch = passes.next();
    if (batch.isEmpty()) {
      return Optional.empty();
    }
    SupervisedTrainer.Step step = trainer.step(batch.get().sequences());
    guard.check(
        step.loss(),
        step.update(),
        () -> passes.lastExamples().stream().map(promptIds::get).toList());
    done++;
    loss = step.loss();
    return Optional.of(new Update(step, batch.get().examples()));
  }

  private record State(long updates, double loss) {}

  void write(StateWriter out) throws IOException {
    out.write(new State(done, loss));
    trainer.write(out);
  }

  /** Continues from a state; the selection must be the same. */
  void read(StateReader in) throws IOException {
    State state = in.read(State.class);
    done = state.updates();
    loss = state.loss();
    passes.skip(done);
    trainer.read(in);
  }

  @Override
  public void close() {
    Closing.closeAll(trainer, policy.tokenizer());
  }
}

package io.millrace.model.rejection;

import io.millrace.model.chat.Message;
import io.millrace.model.llama.TokenArrays;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.supervised.SupervisedTrainer;
import io.millrace.schemas.Provenance;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.apache.avro.reflect.AvroDefault;
import org.apache.avro.reflect.Nullable;

/**
 * The best responses of all policy versions, from which the next one learns (Llama 2, arXiv
 * 2307.09288, section 3.2.3: a bag of all earlier versions' samples kept RLHF-V4 from forgetting
 * what V3 had lost). A prompt is its text, whatever its id: a question that was asked twice has one
 * best answer.
 *
 * <p>Safety prompts and the others are never compared with each other: their rewards are of two
 * reward models, whose scales have nothing to do with each other.
 */
public final class RejectionBag {

  private final Settings settings;

  /** In the order of arrival. */
  private final Map<Text, Entry> entries = new LinkedHashMap<>();

  private long duplicates;
  private long evicted;
  private long rescored;

  /**
   * What is kept and what is learned from.
   *
   * @param capacity entries that stay after {@link #evict}, at least 1
   * @param topShare share of the prompts, best reward first, whose best response is selected, in
   *     (0, 1]
   * @param newestPolicyOnly whether only samples of the newest policy in the bag are selected
   * @param reward joins the two scores
   */
  public record Settings(
      int capacity, double topShare, boolean newestPolicyOnly, PiecewiseReward reward) {
    public Settings {
      if (capacity < 1 || !(topShare > 0 && topShare <= 1)) {
        throw new IllegalArgumentException(
            "capacity %d and topShare %s must be at least 1 and in (0, 1]"
                .formatted(capacity, topShare));
      }
    }
  }

  /** The scores of a response, and the versions of the reward models that gave them. */
  public record Scores(
      float helpfulness, float safety, long helpfulnessVersion, long safetyVersion) {}

  /**
   * A response that was the best of its prompt's samples.
   *
   * @param dialogue the prompt as people read it
   * @param isSafety whether it is judged by safety
   * @param prompt its tokens
   * @param response tokens, the stop token included
   * @param text the response as people read it
   * @param policyVersion that sampled it
   * @param source of the prompt; null if unknown, as in states of earlier builds
   * @param time of the prompt in milliseconds since 1970; 0 if unknown
   */
  public record Entry(
      String promptId,
      List<Message> dialogue,
      boolean isSafety,
      int[] prompt,
      int[] response,
      String text,
      long policyVersion,
      float temperature,
      Scores scores,
      @Nullable @AvroDefault("null") String source,
      @AvroDefault("0") long time) {
    public Entry {
      dialogue = List.copyOf(dialogue);
    }

    /** Whose prompt it answers. */
    public Provenance provenance() {
      return new Provenance(List.of(promptId), "", source == null ? "" : source, time, 0);
    }

    /** The entry with other scores. */
    public Entry scored(Scores newScores) {
      return new Entry(
          promptId,
          dialogue,
          isSafety,
          prompt,
          response,
          text,
          policyVersion,
          temperature,
          newScores,
          source,
          time);
    }

    /** Prompt and response, {@code [p + r]}. */
    public int[] tokens() {
      return TokenArrays.join(prompt, response);
    }

    /** The training example: the loss covers the response alone. */
    public SupervisedTrainer.Example example() {
      boolean[] loss = new boolean[prompt.length + response.length];
      Arrays.fill(loss, prompt.length, loss.length, true);
      return new SupervisedTrainer.Example(tokens(), loss);
    }
  }

  /** Tokens, compared by value. */
  private record Tokens(int[] ids) {
    @Override
    public boolean equals(Object other) {
      return other instanceof Tokens tokens && Arrays.equals(ids, tokens.ids);
    }

    @Override
    public int hashCode() {
      return Arrays.hashCode(ids);
    }
  }

  private record Text(Tokens prompt, Tokens response) {
    static Text of(Entry entry) {
      return new Text(new Tokens(entry.prompt()), new Tokens(entry.response()));
    }
  }

  /** An entry and its reward. */
  private record Rewarded(Entry entry, double reward) {}

  /** Higher rewards first; of equal ones, the newer policy first. */
  private static final Comparator<Rewarded> BEST_FIRST =
      Comparator.comparingDouble(Rewarded::reward)
          .thenComparingLong(rewarded -> rewarded.entry().policyVersion())
          .reversed();

  public RejectionBag(Settings settings) {
    this.settings = settings;
  }

  /** Adds an entry. It replaces an earlier entry with the same prompt and response. */
  public void add(Entry entry) {
    if (entries.put(Text.of(entry), entry) != null) {
      duplicates++;
    }
  }

  /**
   * Removes entries.
   *
   * @return how many were removed
   */
  public int removeIf(Predicate<Entry> removed) {
    int before = entries.size();
    entries.values().removeIf(removed);
    return before - entries.size();
  }

  public int size() {
    return entries.size();
  }

  /** The entries in the order of arrival. */
  public List<Entry> entries() {
    return List.copyOf(entries.values());
  }

  /** How often a response was added that the bag already had. */
  public long duplicates() {
    return duplicates;
  }

  /** How many entries were evicted. */
  public long evicted() {
    return evicted;
  }

  /** How often an entry got new scores. */
  public long rescored() {
    return rescored;
  }

  /**
   * The first entries whose scores are not of these reward models. Scores of different ones cannot
   * be compared, since a ranking loss leaves their zero and their scale open.
   *
   * @param most how many at most
   */
  public List<Entry> staleScores(long helpfulnessVersion, long safetyVersion, int most) {
    return entries.values().stream()
        .filter(
            entry ->
                entry.scores().helpfulnessVersion() != helpfulnessVersion
                    || entry.scores().safetyVersion() != safetyVersion)
        .limit(most)
        .toList();
  }

  /** Replaces the scores of an entry. */
  public void rescore(Entry entry, Scores scores) {
    if (entries.replace(Text.of(entry), entry.scored(scores)) == null) {
      throw new IllegalArgumentException("no such entry: " + entry.promptId());
    }
    rescored++;
  }

  /** LOGIT(R_c) of an entry, from its scores. */
  public double reward(Entry entry) {
    return settings
        .reward()
        .combine(entry.scores().helpfulness(), entry.scores().safety(), entry.isSafety());
  }

  /**
   * Reduces the bag to its capacity. Either kind of prompt keeps its share of the places; what is
   * not its prompt's best goes first, then the worst.
   *
   * @return how many went
   */
  public int evict() {
    int excess = size() - settings.capacity();
    if (excess <= 0) {
      return 0;
    }
    List<Rewarded> safety = rewarded(true, Long.MIN_VALUE);
    List<Rewarded> others = rewarded(false, Long.MIN_VALUE);
    int safetyPlaces =
        (int) Math.round((double) settings.capacity() * safety.size() / entries.size());
    drop(safety, safetyPlaces);
    drop(others, settings.capacity() - safetyPlaces);
    evicted += excess;
    return excess;
  }

  private void drop(List<Rewarded> kind, int places) {
    Set<Tokens> prompts = new HashSet<>();
    List<Rewarded> best = new ArrayList<>();
    List<Rewarded> beaten = new ArrayList<>();
    for (Rewarded rewarded : kind) {
      (prompts.add(new Tokens(rewarded.entry().prompt())) ? best : beaten).add(rewarded);
    }
    best.addAll(beaten);
    best.stream().skip(places).forEach(rewarded -> entries.remove(Text.of(rewarded.entry())));
  }

  /** Entries of one kind of prompt, best first. */
  private List<Rewarded> rewarded(boolean isSafety, long oldestPolicy) {
    List<Rewarded> kind = new ArrayList<>();
    for (Entry entry : entries.values()) {
      if (entry.isSafety() == isSafety && entry.policyVersion() >= oldestPolicy) {
        kind.add(new Rewarded(entry, reward(entry)));
      }
    }
    kind.sort(BEST_FIRST);
    return kind;
  }

  /**
   * What is learned from: the best response to each prompt, of these the top share by reward within
   * either kind of prompt; in the order in which they came.
   */
  public List<Entry> select() {
    long oldest =
        settings.newestPolicyOnly()
            ? entries.values().stream().mapToLong(Entry::policyVersion).max().orElse(0)
            : Long.MIN_VALUE;
    Set<Text> selected = new HashSet<>();
    for (boolean isSafety : new boolean[] {false, true}) {
      Map<Tokens, Rewarded> best = new LinkedHashMap<>();
      for (Rewarded rewarded : rewarded(isSafety, oldest)) {
        best.putIfAbsent(new Tokens(rewarded.entry().prompt()), rewarded);
      }
      best.values().stream()
          .limit((long) Math.ceil(settings.topShare() * best.size()))
          .forEach(rewarded -> selected.add(Text.of(rewarded.entry())));
    }
    return entries.entrySet().stream()
        .filter(entry -> selected.contains(entry.getKey()))
        .map(Map.Entry::getValue)
        .toList();
  }

  /** The entries and the counts. */
  public record State(List<Entry> entries, long duplicates, long evicted, long rescored) {}

  public State state() {
    return new State(entries(), duplicates, evicted, rescored);
  }

  /** Replaces the content of the bag. */
  public void restore(State state) {
    duplicates = state.duplicates();
    evicted = state.evicted();
    rescored = state.rescored();
    entries.clear();
    state.entries().forEach(entry -> entries.put(Text.of(entry), entry));
  }
}

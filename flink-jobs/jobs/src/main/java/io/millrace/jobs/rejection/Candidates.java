package io.millrace.jobs.rejection;

import io.millrace.model.chat.Message;
import io.millrace.model.chat.Role;
import io.millrace.model.rejection.RejectionBag;
import io.millrace.model.rejection.RejectionFigures;
import io.millrace.model.training.StateIo;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * What the K responses to one prompt earned, and the best of them. A POJO in Flink's sense.
 *
 * <p>It names the directories of the models that it comes from: fine-tuning starts from the policy
 * that sampled, and the bag is scored anew with the reward models that scored last.
 */
public final class Candidates {

  /** The position of a winner where there is none. */
  static final int NONE = -1;

  public String promptId;
  public String[] roles;
  public String[] contents;
  public boolean isSafety;
  public int[] prompt;

  /** Of all K responses, in the order in which they were sampled. */
  public double[] rewards;

  public int truncated;
  public int empty;

  /** Which response is the best; all that is the best one's is empty or 0 where it is NONE. */
  public int winner;

  public int[] response;
  public String text;
  public float temperature;
  public float helpfulnessScore;
  public float safetyScore;
  public long policyVersion;
  public String policyUri;
  public long helpfulnessVersion;
  public String helpfulnessUri;
  public long safetyVersion;
  public String safetyUri;

  /** For Flink's serializer. */
  public Candidates() {}

  void dialogue(List<Message> messages) {
    roles = messages.stream().map(message -> message.role().name()).toArray(String[]::new);
    contents = messages.stream().map(Message::content).toArray(String[]::new);
  }

  private List<Message> dialogue() {
    List<Message> messages = new ArrayList<>();
    for (int i = 0; i < roles.length; i++) {
      messages.add(new Message(Role.valueOf(roles[i]), contents[i]));
    }
    return messages;
  }

  boolean hasWinner() {
    return winner != NONE;
  }

  void addTo(RejectionFigures figures) {
    figures.add(rewards, isSafety);
  }

  /** The best response, as the bag keeps it. */
  RejectionBag.Entry entry() {
    return new RejectionBag.Entry(
        promptId,
        dialogue(),
        isSafety,
        prompt,
        response,
        text,
        policyVersion,
        temperature,
        new RejectionBag.Scores(helpfulnessScore, safetyScore, helpfulnessVersion, safetyVersion));
  }

  static void write(DataOutput out, Candidates candidates) throws IOException {
    StateIo.writeText(out, candidates.promptId);
    StateIo.writeList(out, List.of(candidates.roles), StateIo::writeText);
    StateIo.writeList(out, List.of(candidates.contents), StateIo::writeText);
    out.writeBoolean(candidates.isSafety);
    StateIo.writeInts(out, candidates.prompt);
    StateIo.writeDoubles(out, candidates.rewards);
    out.writeInt(candidates.truncated);
    out.writeInt(candidates.empty);
    out.writeInt(candidates.winner);
    StateIo.writeInts(out, candidates.response);
    StateIo.writeText(out, candidates.text);
    out.writeFloat(candidates.temperature);
    out.writeFloat(candidates.helpfulnessScore);
    out.writeFloat(candidates.safetyScore);
    out.writeLong(candidates.policyVersion);
    StateIo.writeText(out, candidates.policyUri);
    out.writeLong(candidates.helpfulnessVersion);
    StateIo.writeText(out, candidates.helpfulnessUri);
    out.writeLong(candidates.safetyVersion);
    StateIo.writeText(out, candidates.safetyUri);
  }

  static Candidates read(DataInput in) throws IOException {
    Candidates candidates = new Candidates();
    candidates.promptId = StateIo.readText(in);
    candidates.roles = StateIo.readList(in, StateIo::readText).toArray(String[]::new);
    candidates.contents = StateIo.readList(in, StateIo::readText).toArray(String[]::new);
    candidates.isSafety = in.readBoolean();
    candidates.prompt = StateIo.readInts(in);
    candidates.rewards = StateIo.readDoubles(in);
    candidates.truncated = in.readInt();
    candidates.empty = in.readInt();
    candidates.winner = in.readInt();
    candidates.response = StateIo.readInts(in);
    candidates.text = StateIo.readText(in);
    candidates.temperature = in.readFloat();
    candidates.helpfulnessScore = in.readFloat();
    candidates.safetyScore = in.readFloat();
    candidates.policyVersion = in.readLong();
    candidates.policyUri = StateIo.readText(in);
    candidates.helpfulnessVersion = in.readLong();
    candidates.helpfulnessUri = StateIo.readText(in);
    candidates.safetyVersion = in.readLong();
    candidates.safetyUri = StateIo.readText(in);
    return candidates;
  }
}

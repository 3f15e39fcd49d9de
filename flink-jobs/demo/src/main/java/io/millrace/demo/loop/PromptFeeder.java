package io.millrace.demo.loop;

import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.jobs.models.HeldOut;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Topic;
import io.millrace.world.DemoWorld;
import java.io.IOException;

/** Sends prompts of the demo world in batches, up to a total. */
public final class PromptFeeder {

  private final DemoWorld world;
  private final RecordWriter writer;
  private final HeldOut heldOut;
  private final long first;
  private final int batch;
  private final long total;
  private long sent;

  /** Prompts sent that are learned from: all but the held-out ones. */
  private long learnable;

  /**
   * A feeder.
   *
   * @param heldOut prompts that fill no batch: they are sent beside the others
   * @param first index of the first prompt
   * @param batch prompts of a batch
   * @param total prompts of all batches
   * @param sent prompts that the topic has already
   */
  public PromptFeeder(
      DemoWorld world,
      RecordWriter writer,
      HeldOut heldOut,
      long first,
      int batch,
      long total,
      long sent) {
    this.world = world;
    this.writer = writer;
    this.heldOut = heldOut;
    this.first = first;
    this.batch = batch;
    this.total = total;
    for (Prompt prompt : world.prompts(first, (int) sent)) {
      count(prompt);
    }
  }

  /** Sends the missing prompts of the first batches. */
  public void feedUpTo(long batches) throws IOException {
    long target = Math.min(total, batches * batch);
    if (learnable >= target) {
      return;
    }
    while (learnable < target) {
      Prompt prompt = world.prompts(first + sent, 1).getFirst();
      writer.send(Topic.PROMPTS, prompt);
      count(prompt);
    }
    writer.flush();
  }

  private void count(Prompt prompt) {
    sent++;
    learnable += heldOut.contains(prompt.getDialogue()) ? 0 : 1;
  }

  /** Prompts sent so far. */
  public long sent() {
    return sent;
  }
}

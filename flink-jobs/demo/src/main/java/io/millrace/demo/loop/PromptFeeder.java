package io.millrace.demo.loop;

import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Topic;
import io.millrace.world.DemoWorld;
import java.io.IOException;

/** Sends prompts of the demo world in batches, up to a total. */
public final class PromptFeeder {

  private final DemoWorld world;
  private final RecordWriter writer;
  private final long first;
  private final int batch;
  private final long total;
  private long sent;

  /**
   * A feeder.
   *
   * @param first index of the first prompt
   * @param batch prompts of a batch
   * @param total prompts of all batches
   * @param sent prompts that the topic has already
   */
  public PromptFeeder(
      DemoWorld world, RecordWriter writer, long first, int batch, long total, long sent) {
    this.world = world;
    this.writer = writer;
    this.first = first;
    this.batch = batch;
    this.total = total;
    this.sent = sent;
  }

  /** Sends the missing prompts of the first batches. */
  public void feedUpTo(long batches) throws IOException {
    long target = Math.min(total, batches * batch);
    if (sent < target) {
      for (Prompt prompt : world.prompts(first + sent, (int) (target - sent))) {
        writer.send(Topic.PROMPTS, prompt);
      }
      writer.flush();
      sent = target;
    }
  }
}

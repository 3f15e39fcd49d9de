package io.millrace.jobs.rollout;

import io.millrace.model.sampling.SampledResponse;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/** Sampled responses as records. */
final class RolloutRecords {

  private RolloutRecords() {}

  /** The id of a prompt's sample. */
  static String id(Prompt prompt, int sample) {
    return prompt.getPromptId() + "/" + sample;
  }

  static Rollout of(
      Prompt prompt,
      SampledResponse response,
      String model,
      RolloutSection section,
      String engine,
      String text,
      Instant time) {
    return Rollout.newBuilder()
        .setRolloutId(id(prompt, response.sample()))
        .setPromptId(prompt.getPromptId())
        .setDialogue(prompt.getDialogue())
        .setIsSafety(prompt.getIsSafety())
        .setPromptTokens(list(response.request().prompt()))
        .setResponseTokens(list(response.tokens()))
        .setLogProbs(list(response.logProbs()))
        .setResponseText(text)
        .setFinishReason(response.stopped() ? FinishReason.STOP : FinishReason.LENGTH)
        .setModel(model)
        .setPolicyVersion(response.policyVersion())
        .setTemperature((float) section.temperature())
        .setTopP((float) section.topP())
        .setSeed(response.request().seeds()[response.sample()])
        .setEngine(engine)
        .setSource(prompt.getSource())
        .setTime(time)
        .setPromptTime(prompt.getTime())
        .build();
  }

  private static List<Integer> list(int[] values) {
    List<Integer> list = new ArrayList<>(values.length);
    for (int value : values) {
      list.add(value);
    }
    return list;
  }

  private static List<Float> list(float[] values) {
    List<Float> list = new ArrayList<>(values.length);
    for (float value : values) {
      // Rounding may leave a certain token's log-prob a hair above 0.
      list.add(Math.min(value, 0));
    }
    return list;
  }
}

package io.millrace.jobs.operator;

import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.RolloutSection;
import io.millrace.model.llama.Generator;
import io.millrace.model.llama.SamplingOptions;
import io.millrace.model.tensor.Backend;
import io.millrace.model.train.StateIo;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.wire.SingleObject;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.streaming.api.operators.BoundedMultiInput;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * Samples responses with the latest policy that was announced. The policy changes between batches,
 * never inside a response; prompts that wait for a batch are state.
 */
public final class RolloutOperator extends LearningOperator<Rollout>
    implements TwoInputStreamOperator<Prompt, PolicyCheckpoint, Rollout>, BoundedMultiInput {

  private static final long serialVersionUID = 1;

  private final RuntimeSettings settings;
  private final boolean bounded;

  private transient Backend backend;
  private transient PolicyModel policy;
  private transient Generator generator;
  private transient SingleObject<Prompt> codec;
  private transient String loadedUri;
  private transient boolean announcementsEnded;
  private transient boolean promptsEnded;

  // State.
  private transient List<Prompt> waiting;
  private transient String policyUri;
  private transient long sampled;
  private transient long promptsTaken;

  public RolloutOperator(MillraceConfig config, boolean bounded) {
    this.settings = new RuntimeSettings(config);
    this.bounded = bounded;
  }

  private RolloutSection section() {
    return settings.config().rollout();
  }

  @Override
  protected void openModels() {
    backend = settings.backend();
    codec = SingleObject.of(Prompt.class);
    waiting = new ArrayList<>();
    policyUri = settings.config().model().initial();
  }

  @Override
  public void processElement1(StreamRecord<Prompt> element) throws IOException {
    waiting.add(element.getValue());
    promptsTaken++;
    if (waiting.size() >= section().batchSize()) {
      sample();
    } else {
      after(
          section().maxWait(),
          () -> {
            sample();
          });
    }
  }

  @Override
  public void processElement2(StreamRecord<PolicyCheckpoint> element) {
    PolicyCheckpoint announced = element.getValue();
    if (announced.getModel().equals(settings.config().model().name())) {
      policyUri = announced.getUri();
    }
  }

  private void sample() throws IOException {
    // A bounded run samples with the last policy there is: announcements are read to their end
    // first.
    if (waiting.isEmpty() || (bounded && !announcementsEnded)) {
      return;
    }
    usePolicy();
    List<Generator.Request> requests = new ArrayList<>();
    List<String> ids = new ArrayList<>();
    for (Prompt prompt : waiting) {
      int[] tokens = policy.template().promptTokens(Dialogues.messages(prompt.getDialogue()));
      for (int k = 0; k < section().samplesPerPrompt(); k++) {
        String id = prompt.getPromptId() + "/" + k;
        ids.add(id);
        requests.add(
            new Generator.Request(tokens, Generator.seed(settings.config().model().seed(), id)));
      }
    }
    List<Generator.Response> responses = generator.generate(requests);
    for (int i = 0; i < responses.size(); i++) {
      emit(
          rollout(
              waiting.get(i / section().samplesPerPrompt()),
              ids.get(i),
              requests.get(i),
              responses.get(i)));
    }
    sampled += responses.size();
    waiting.clear();
  }

  private void usePolicy() throws IOException {
    if (policyUri.equals(loadedUri)) {
      return;
    }
    if (policy != null) {
      policy.close();
    }
    policy = PolicyModel.load(backend, policyUri);
    loadedUri = policyUri;
    generator =
        new Generator(
            policy.model(),
            new SamplingOptions(
                section().maxTokens(), (float) section().temperature(), (float) section().topP()),
            policy.stopTokens());
  }

  private Rollout rollout(
      Prompt prompt, String id, Generator.Request request, Generator.Response response) {
    return Rollout.newBuilder()
        .setRolloutId(id)
        .setPromptId(prompt.getPromptId())
        .setDialogue(prompt.getDialogue())
        .setIsSafety(prompt.getIsSafety())
        .setPromptTokens(list(request.prompt()))
        .setResponseTokens(list(response.tokens()))
        .setLogProbs(list(response.logProbs()))
        .setResponseText(policy.template().responseText(response.tokens()))
        .setFinishReason(response.stopped() ? FinishReason.STOP : FinishReason.LENGTH)
        .setModel(settings.config().model().name())
        .setPolicyVersion(policy.version())
        .setTemperature((float) section().temperature())
        .setTopP((float) section().topP())
        .setSeed(request.seed())
        .setSource(prompt.getSource())
        .setTime(Instant.now())
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

  @Override
  public void endInput(int input) throws IOException {
    if (input == 1) {
      promptsEnded = true;
    } else {
      announcementsEnded = true;
    }
    if (promptsEnded && announcementsEnded) {
      sample();
      Map<String, Double> summary = new HashMap<>();
      summary.put("prompts", (double) promptsTaken);
      summary.put("rollouts", (double) sampled);
      SummaryAccumulator.report(getRuntimeContext(), "rollout", summary);
    }
  }

  @Override
  protected void writeState(DataOutputStream out) throws IOException {
    StateIo.writeText(out, policyUri);
    out.writeLong(sampled);
    out.writeLong(promptsTaken);
    StateIo.writeList(
        out, waiting, (stream, prompt) -> StateIo.writeBytes(stream, codec.encode(prompt)));
  }

  @Override
  protected void readState(DataInputStream in) throws IOException {
    policyUri = StateIo.readText(in);
    sampled += in.readLong();
    promptsTaken += in.readLong();
    waiting.addAll(StateIo.readList(in, stream -> codec.decode(StateIo.readBytes(stream))));
  }

  @Override
  protected void closeModels() {
    Closing.closeAll(policy, backend);
  }
}

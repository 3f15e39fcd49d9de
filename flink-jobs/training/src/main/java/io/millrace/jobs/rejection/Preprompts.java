package io.millrace.jobs.rejection;

import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.chat.Role;
import io.millrace.model.checkpoint.CheckpointOutline;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;

/**
 * Safety context distillation (Llama 2, arXiv 2307.09288, section 4.2.4): responses are sampled
 * under a system message that asks for safety, and learned as responses to the prompt without it.
 * The reward decides for each prompt whether such a response is better than those without a
 * message.
 */
final class Preprompts {

  private final ChatTemplate template;
  private final List<String> messages;
  private final int samples;
  private final int maxTokens;

  /** The prompt under one message, and the number of responses that are sampled to it. */
  record Guided(int[] tokens, int samples) {}

  /**
   * @param messages the system messages
   * @param samples responses to a prompt, over all messages
   * @param maxTokens of a prompt together with its message
   */
  Preprompts(ChatTemplate template, List<String> messages, int samples, int maxTokens) {
    this.template = template;
    this.messages = messages;
    this.samples = samples;
    this.maxTokens = maxTokens;
  }

  /** For the prompts and responses that a configuration allows. */
  static Preprompts of(MillraceConfig config, ChatTemplate template, LlamaConfig model) {
    RejectionSamplingSection section = config.section(RejectionSamplingSection.class);
    RolloutSection rollout = config.section(RolloutSection.class);
    return new Preprompts(
        template,
        section.preprompts(),
        section.prepromptSamples(),
        Math.min(rollout.maxPromptTokens(), model.maxPositions() - rollout.maxTokens()));
  }

  /**
   * Checks, before a job is submitted, that the shortest prompt fits under each message.
   *
   * @throws IllegalArgumentException with the message that is too long, or that the model's chat
   *     template refuses
   */
  static void requireFit(MillraceConfig config) {
    if (config.section(RejectionSamplingSection.class).preprompts().isEmpty()) {
      return;
    }
    try (LocalCheckpoint initial = new RuntimeSettings(config).describeInitial();
        Tokenizer tokenizer = Tokenizer.load(initial.directory())) {
      of(config, ChatTemplate.of(tokenizer), CheckpointOutline.read(initial.directory()).config())
          .requireFit();
    } catch (IOException e) {
      throw new UncheckedIOException("model.initial cannot be read: " + e.getMessage(), e);
    }
  }

  private void requireFit() {
    for (String message : messages) {
      int[] tokens;
      try {
        tokens = template.promptTokens(under(message, List.of(Message.user("?"))));
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException(
            "rejection-sampling.preprompts: the chat template of model.initial refuses '%s': %s"
                .formatted(message, e.getMessage()),
            e);
      }
      if (tokens.length > maxTokens) {
        throw new IllegalArgumentException(
            ("rejection-sampling.preprompts: the shortest prompt has %d tokens under '%s', and at"
                    + " most %d are allowed; shorten the message or raise"
                    + " rollout.max-prompt-tokens")
                .formatted(tokens.length, message, maxTokens));
      }
    }
  }

  /** Responses that are sampled to a prompt if it fits under each message. */
  int samples() {
    return messages.isEmpty() ? 0 : samples;
  }

  /** The prompt under each message with which it is no longer than the limit. */
  List<Guided> of(List<Message> dialogue) {
    List<Guided> all = new ArrayList<>();
    for (int i = 0; i < messages.size(); i++) {
      int[] tokens = template.promptTokens(under(messages.get(i), dialogue));
      if (tokens.length <= maxTokens) {
        // Response j takes message j modulo n.
        all.add(new Guided(tokens, (samples - i + messages.size() - 1) / messages.size()));
      }
    }
    return all;
  }

  /** The dialogue under a system message, before its own system message if it has one. */
  static List<Message> under(String message, List<Message> dialogue) {
    boolean hasSystem = dialogue.getFirst().role() == Role.SYSTEM;
    List<Message> all = new ArrayList<>(dialogue.size() + 1);
    all.add(Message.system(hasSystem ? message + "\n\n" + dialogue.getFirst().content() : message));
    all.addAll(hasSystem ? dialogue.subList(1, dialogue.size()) : dialogue);
    return all;
  }
}

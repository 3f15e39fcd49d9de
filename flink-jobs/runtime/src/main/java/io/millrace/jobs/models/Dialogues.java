package io.millrace.jobs.models;

import io.millrace.model.chat.Message;
import io.millrace.model.chat.Role;
import io.millrace.schemas.Turn;
import java.util.List;

/** Dialogues of records as those of the model. */
public final class Dialogues {

  private Dialogues() {}

  public static List<Message> messages(List<Turn> dialogue) {
    return dialogue.stream()
        .map(
            turn ->
                new Message(
                    switch (turn.getRole()) {
                      case SYSTEM -> Role.SYSTEM;
                      case USER -> Role.USER;
                      case ASSISTANT -> Role.ASSISTANT;
                    },
                    turn.getContent()))
        .toList();
  }
}

package io.millrace.model.training;

import java.util.List;

/** Too many updates in a row had a loss or a gradient that is not finite. */
public final class DivergedException extends RuntimeException {

  private static final long serialVersionUID = 1;
  private static final int NAMED = 8;

  public DivergedException(int skipped, List<String> rolloutIds) {
    super(
        ("%d updates in a row had a loss or gradient that is not finite. The rollouts of the last"
                + " batch are %s%s. Check these rollouts, or lower the learning rate")
            .formatted(
                skipped,
                String.join(", ", rolloutIds.subList(0, Math.min(NAMED, rolloutIds.size()))),
                rolloutIds.size() > NAMED ? " and " + (rolloutIds.size() - NAMED) + " more" : ""));
  }
}

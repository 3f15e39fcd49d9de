package io.millrace.model.training;

import java.util.List;

/** Training that cannot go on: losses or gradients are not finite. */
public final class DivergedException extends RuntimeException {

  private static final long serialVersionUID = 1;
  private static final int NAMED = 8;

  /**
   * @param problem what is not finite, as a sentence without its end
   * @param records what the ids are of: {@code rollouts}
   * @param ids of the records of the last batch
   */
  public DivergedException(String problem, String records, List<String> ids) {
    super(
        "%s. The %s of the last batch are %s%s. Check these %s, or lower the learning rate"
            .formatted(
                problem,
                records,
                String.join(", ", ids.subList(0, Math.min(NAMED, ids.size()))),
                ids.size() > NAMED ? " and " + (ids.size() - NAMED) + " more" : "",
                records));
  }

  /**
   * @param skipped updates in a row
   * @param records what the ids are of: {@code rollouts}
   * @param ids of the records of the last batch
   */
  public DivergedException(int skipped, String records, List<String> ids) {
    this(skipped + " updates in a row had a loss or gradient that is not finite", records, ids);
  }
}

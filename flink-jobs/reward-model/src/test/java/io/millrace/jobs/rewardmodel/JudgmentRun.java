package io.millrace.jobs.rewardmodel;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.jobs.models.Opinion;
import io.millrace.jobs.testkit.OperatorRun;
import io.millrace.schemas.Judgment;
import java.util.List;
import java.util.function.Supplier;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;

/** A run of a reward model's trainer on judgments. */
class JudgmentRun extends OperatorRun<Opinion> {

  JudgmentRun(
      Supplier<OneInputStreamOperator<Opinion, StagedCheckpoint>> operator,
      OperatorSubtaskState state)
      throws Exception {
    super(operator, state);
  }

  /** Passes judgments to the operator. */
  final JudgmentRun judge(List<Judgment> judgments) throws Exception {
    feed(judgments.stream().map(Opinion::of).toList());
    return this;
  }

  /** Passes judgments to the operator, and then restarts it from its last state. */
  final void dieAfterJudging(List<Judgment> judgments) throws Exception {
    dieAfter(judgments.stream().map(Opinion::of).toList());
  }
}
